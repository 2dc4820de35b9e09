// ONNX files are Protocol Buffers; the field numbers below are those of onnx.proto (ModelProto and below). A dozen
// fields of a format that cannot change do not call for a code generator and its library.
#include "core/onnx_file.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>

namespace detrt {
namespace {

// A message: pairs of a number and a value, which is a number, or bytes that may be a message again.
class Message {
  public:
    explicit Message(std::string_view data) : data_(data) {}

    // Calls `take(field, bytes, number)` for every field.
    template <typename Take>
    void each(Take take) const {
        std::string_view rest = data_;
        while (!rest.empty()) {
            const auto key = varint(rest);
            std::string_view bytes;
            std::uint64_t number = 0;
            switch (key & 7) {
                case 0:
                    number = varint(rest);
                    break;
                case 1:
                    skip(rest, 8);
                    break;
                case 2:
                    bytes = skip(rest, varint(rest));
                    break;
                case 5:
                    skip(rest, 4);
                    break;
                default:
                    throw std::runtime_error("it has a field of unknown kind");
            }
            take(static_cast<int>(key >> 3), bytes, number);
        }
    }

    std::string_view bytes(int wanted) const {
        std::string_view found;
        each([&](int field, std::string_view bytes, std::uint64_t) {
            if (field == wanted) found = bytes;
        });
        return found;
    }

    std::string text(int wanted) const { return std::string(bytes(wanted)); }
    Message message(int wanted) const { return Message(bytes(wanted)); }

    std::vector<Message> messages(int wanted) const {
        std::vector<Message> found;
        each([&](int field, std::string_view bytes, std::uint64_t) {
            if (field == wanted) found.emplace_back(bytes);
        });
        return found;
    }

    std::int64_t number(int wanted, std::int64_t otherwise) const {
        each([&](int field, std::string_view, std::uint64_t number) {
            if (field == wanted) otherwise = static_cast<std::int64_t>(number);
        });
        return otherwise;
    }

  private:
    static std::uint64_t varint(std::string_view& rest) {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            const auto byte = static_cast<std::uint8_t>(skip(rest, 1)[0]);
            value |= std::uint64_t(byte & 127) << shift;
            if (byte < 128) return value;
        }
        throw std::runtime_error("it has a number without an end");
    }

    static std::string_view skip(std::string_view& rest, std::uint64_t count) {
        if (count > rest.size()) throw std::runtime_error("it ends too early");
        const auto skipped = rest.substr(0, count);
        rest.remove_prefix(count);
        return skipped;
    }

    std::string_view data_;
};

// TensorProto.DataType by NumPy's names.
std::string dtype_of(std::int64_t type) {
    static const std::map<std::int64_t, std::string> names = {{1, "float32"},  {2, "uint8"},    {3, "int8"},
                                                              {6, "int32"},    {7, "int64"},    {9, "bool"},
                                                              {10, "float16"}, {11, "float64"}, {16, "bfloat16"}};
    const auto found = names.find(type);
    return found == names.end() ? "type " + std::to_string(type) : found->second;
}

TensorSpec spec_of(const Message& value_info) {
    const auto tensor = value_info.message(2).message(1);  // TypeProto.tensor_type
    TensorSpec spec{value_info.text(1), {}, dtype_of(tensor.number(1, 0))};
    for (const auto& axis : tensor.message(2).messages(1)) spec.shape.push_back(axis.number(1, -1));
    return spec;
}

}  // namespace

OnnxFile onnx_file_from(std::string_view serialized) {
    const Message model(serialized);
    const auto graph = model.message(7);
    if (graph.messages(1).empty()) throw std::runtime_error("it holds a graph without any node");
    OnnxFile file;
    for (const auto& entry : model.messages(14)) file.metadata[entry.text(1)] = entry.text(2);
    std::set<std::string> fixed;
    for (const auto& initializer : graph.messages(5)) fixed.insert(initializer.text(8));
    for (const auto& value : graph.messages(11))
        if (!fixed.count(value.text(1))) file.inputs.push_back(spec_of(value));
    for (const auto& value : graph.messages(12)) file.outputs.push_back(spec_of(value));
    return file;
}

}  // namespace detrt
