// A detector of three nodes whose answers can be computed by hand, as an ONNX file written here, byte by byte.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace detrt::tiny {

constexpr int kHeight = 32, kWidth = 48;

// Boxes (cx, cy, w, h) are the mean colour (red, green, blue in 0..1) times this.
constexpr float kWeights[3][4] = {{0.5f, 0, 0.25f, 0}, {0, 0.5f, 0, 0.25f}, {0, 0, 0.25f, 0.5f}};

inline std::string varint(std::uint64_t value) {
    std::string bytes;
    for (; value > 127; value >>= 7) bytes += static_cast<char>(value | 128);
    return bytes + static_cast<char>(value);
}

inline std::string number(int field, std::int64_t value) {
    return varint(std::uint64_t(field) << 3) + varint(std::uint64_t(value));
}

inline std::string text(int field, const std::string& value) {
    return varint(std::uint64_t(field) << 3 | 2) + varint(value.size()) + value;
}

inline std::string value_info(const std::string& name, const std::vector<std::int64_t>& shape) {
    std::string axes;
    for (const auto axis : shape) axes += text(1, axis < 0 ? text(2, "N") : number(1, axis));
    return text(1, name) + text(2, text(1, number(1, 1) + text(2, axes)));
}

inline std::string node(const std::string& kind, const std::vector<std::string>& inputs, const std::string& output) {
    std::string bytes;
    for (const auto& input : inputs) bytes += text(1, input);
    return bytes + text(2, output) + text(3, output) + text(4, kind);
}

template <typename Value>
std::string tensor(const std::string& name, int type, const std::vector<std::int64_t>& shape, const Value* values,
                   std::size_t count) {
    std::string bytes, raw(reinterpret_cast<const char*>(values), count * sizeof(Value));
    for (const auto axis : shape) bytes += number(1, axis);
    return bytes + number(2, type) + text(8, name) + text(9, raw);
}

// One query: its logits are the mean colour of the photo, its box a matrix times it. `batch` -1 leaves the batch open.
inline std::string raw_detector(std::int64_t batch = 1,
                                const std::vector<std::pair<std::string, std::string>>& metadata = {}) {
    const std::int64_t rows[] = {-1, 1, 3};
    const auto graph = text(1, node("GlobalAveragePool", {"images"}, "pooled")) +
                       text(1, node("Reshape", {"pooled", "rows"}, "logits")) +
                       text(1, node("MatMul", {"logits", "weights"}, "boxes")) + text(2, "tiny") +
                       text(5, tensor("rows", 7, {3}, rows, 3)) +
                       text(5, tensor("weights", 1, {3, 4}, &kWeights[0][0], 12)) +
                       text(11, value_info("images", {batch, 3, kHeight, kWidth})) +
                       text(12, value_info("logits", {batch, 1, 3})) + text(12, value_info("boxes", {batch, 1, 4}));
    auto model = number(1, 8) + text(8, text(1, "") + number(2, 17)) + text(7, graph);
    for (const auto& [key, value] : metadata) model += text(14, text(1, key) + text(2, value));
    return model;
}

}  // namespace detrt::tiny
