#include "core/decoding.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "detrt/error.hpp"

namespace detrt {
namespace {

float from_half(std::uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const float size = exponent == 0    ? std::ldexp(float(fraction), -24)
                       : exponent == 31 ? (fraction ? NAN : INFINITY)
                                        : std::ldexp(float(fraction + 1024), exponent - 25);
    return bits & 0x8000 ? -size : size;
}

float from_bfloat(std::uint16_t bits) {
    const std::uint32_t wide = std::uint32_t(bits) << 16;
    float value;
    std::memcpy(&value, &wide, sizeof value);
    return value;
}

std::int64_t row_length(const HostTensor& tensor) {
    return std::accumulate(tensor.shape.begin() + 1, tensor.shape.end(), std::int64_t(1), std::multiplies<>());
}

// One row of a tensor in any dtype as `Value`.
template <typename Value>
std::vector<Value> row_of(const HostTensor& tensor, int row) {
    const auto length = row_length(tensor);
    std::vector<Value> values(static_cast<std::size_t>(length));
    const auto read = [&](auto example, auto convert) {
        const auto* from = static_cast<const decltype(example)*>(tensor.data) + length * row;
        std::transform(from, from + length, values.begin(), convert);
    };
    const auto cast = [](auto value) { return static_cast<Value>(value); };
    if (tensor.dtype == "float32")
        read(float(), cast);
    else if (tensor.dtype == "float16")
        read(std::uint16_t(), [](auto bits) { return static_cast<Value>(from_half(bits)); });
    else if (tensor.dtype == "bfloat16")
        read(std::uint16_t(), [](auto bits) { return static_cast<Value>(from_bfloat(bits)); });
    else if (tensor.dtype == "int64")
        read(std::int64_t(), cast);
    else if (tensor.dtype == "int32")
        read(std::int32_t(), cast);
    else
        throw ModelError("An output is " + tensor.dtype + ".",
                         "Export it as float32, float16, bfloat16, int64 or int32.");
    return values;
}

Detections final_rows(const ModelContract& contract, const std::map<std::string, HostTensor>& outputs, int row) {
    const auto boxes = row_of<float>(outputs.at(contract.output("boxes")), row);
    const auto scores = row_of<float>(outputs.at(contract.output("scores")), row);
    const auto labels = row_of<std::int64_t>(outputs.at(contract.output("labels")), row);
    Detections found(scores.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        std::copy_n(&boxes[4 * i], 4, found[i].box.begin());
        found[i].score = scores[i];
        found[i].label = labels[i];
    }
    return found;
}

// The best of queries x classes, as the family's own postprocessing takes them; boxes in 0..1. One query may give
// several classes: taking each query's best class alone costs 0.9 AP.
Detections best_rows(const ModelContract& contract, const std::map<std::string, HostTensor>& outputs, int row) {
    const auto& tensor = outputs.at(contract.output("logits"));
    const auto logits = row_of<float>(tensor, row);
    const auto boxes = row_of<float>(outputs.at(contract.output("boxes")), row);
    const auto classes = static_cast<std::size_t>(tensor.shape[2]);
    std::vector<std::uint32_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    const auto keep = std::min<std::size_t>(static_cast<std::size_t>(contract.top_k), order.size());
    // NaN sorts as the largest value, so a broken model's NaN is kept for the check that refuses it.
    const auto better = [&](std::uint32_t one, std::uint32_t other) {
        const bool odd = std::isnan(logits[one]), other_odd = std::isnan(logits[other]);
        if (odd != other_odd) return odd;
        if (!odd && logits[one] != logits[other]) return logits[one] > logits[other];
        return one < other;
    };
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(keep), order.end(), better);
    Detections found(keep);
    for (std::size_t i = 0; i < keep; ++i) {
        const float* box = &boxes[4 * (order[i] / classes)];
        found[i].box = {box[0] - box[2] / 2, box[1] - box[3] / 2, box[0] + box[2] / 2, box[1] + box[3] / 2};
        found[i].score = 1 / (1 + std::exp(-logits[order[i]]));
        found[i].label = static_cast<std::int64_t>(order[i] % classes);
    }
    return found;
}

// Boxes scaled to (width, height), in the photo's pixels from its own corner, not the padding's.
void move_to_photo(Detections& found, std::array<std::int64_t, 2> scaled_to, const Placement& placement) {
    const auto [width, height] = placement.span();
    const auto [left, top] = placement.offset();
    const float across = static_cast<float>(width / double(scaled_to[0]));
    const float down = static_cast<float>(height / double(scaled_to[1]));
    for (auto& one : found)
        one.box = {one.box[0] * across - float(left), one.box[1] * down - float(top), one.box[2] * across - float(left),
                   one.box[3] * down - float(top)};
}

}  // namespace

std::vector<Detections> decode(const ModelContract& contract, const std::map<std::string, HostTensor>& outputs,
                               const std::vector<Placement>& placements, const std::vector<int>& rows) {
    const bool raw = contract.output_form == OutputForm::raw;
    std::vector<Detections> all;
    all.reserve(placements.size());
    for (std::size_t i = 0; i < placements.size(); ++i) {
        const int row = rows.empty() ? static_cast<int>(i) : rows[i];
        auto found = raw ? best_rows(contract, outputs, row) : final_rows(contract, outputs, row);
        move_to_photo(found, raw ? std::array<std::int64_t, 2>{1, 1} : size_to_feed(placements[i]), placements[i]);
        const auto better = [](const Detection& one, const Detection& other) { return one.score > other.score; };
        if (!std::is_sorted(found.begin(), found.end(), better)) std::stable_sort(found.begin(), found.end(), better);
        all.push_back(std::move(found));
    }
    return all;
}

std::array<std::int64_t, 2> size_to_feed(const Placement& placement) {
    const auto [width, height] = placement.span();
    return {std::llrint(width), std::llrint(height)};  // half to even, as Python's round
}

Detections above(const Detections& found, float threshold) {
    Detections kept;
    std::copy_if(found.begin(), found.end(), std::back_inserter(kept),
                 [&](const Detection& one) { return one.score >= threshold; });
    return kept;
}

std::size_t count_non_finite(const Detections& found) {
    return static_cast<std::size_t>(std::count_if(found.begin(), found.end(), [](const Detection& one) {
        return !std::isfinite(one.score) ||
               !std::all_of(one.box.begin(), one.box.end(), [](float value) { return std::isfinite(value); });
    }));
}

}  // namespace detrt
