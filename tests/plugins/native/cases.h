// What the plugins are tried on, and what must come out: computed in double, from the definitions of the operators.
#pragma once

#include "tensors.h"

#include <algorithm>
#include <cmath>
#include <memory>

/// The attributes of a node, as a creator takes them. They stay where they are as long as this lives.
class Attributes {
public:
    void add(std::string const& name, nvinfer1::PluginFieldType type, void const* data, size_t width, size_t count) {
        auto const* first = static_cast<char const*>(data);
        kept_.push_back(std::make_unique<Kept>(Kept{name, {first, first + width * count}}));
        fields_.emplace_back(
            kept_.back()->name.c_str(), kept_.back()->bytes.data(), type, static_cast<int32_t>(count));
    }
    void add(std::string const& name, std::vector<int32_t> const& v) {
        add(name, nvinfer1::PluginFieldType::kINT32, v.data(), 4, v.size());
    }
    void add(std::string const& name, std::vector<float> const& v) {
        add(name, nvinfer1::PluginFieldType::kFLOAT32, v.data(), 4, v.size());
    }
    void add(std::string const& name, std::vector<int8_t> const& v) {
        add(name, nvinfer1::PluginFieldType::kINT8, v.data(), 1, v.size());
    }
    void drop(std::string const& name) {
        fields_.erase(std::remove_if(fields_.begin(), fields_.end(), [&](auto const& f) { return name == f.name; }),
            fields_.end());
    }
    nvinfer1::PluginFieldCollection collection() const {
        return {static_cast<int32_t>(fields_.size()), fields_.data()};
    }

private:
    struct Kept {
        std::string name;
        std::vector<char> bytes;
    };
    std::vector<std::unique_ptr<Kept>> kept_;
    std::vector<nvinfer1::PluginField> fields_;
};

struct Case {
    std::string plugin;
    Attributes attributes;
    std::vector<Tensor> inputs;
    std::vector<Tensor> outputs; // of the right shapes and types, empty
    std::vector<std::vector<double>> expected;
    double tolerance; // of numbers around 1
};

struct AttentionShape {
    int batch, queries, heads, depth;
    std::vector<int32_t> shapes, points;
    bool discrete;
    DataType type, sampling;
};

inline void expect_attention(Case& given, AttentionShape const& s) {
    int total = 0, cells = 0;
    for (size_t l = 0; l < s.points.size(); ++l) {
        total += s.points[l];
        cells += s.shapes[2 * l] * s.shapes[2 * l + 1];
    }
    auto const& [value, boxes, offsets, logits] = std::tie(given.inputs[0], given.inputs[1], given.inputs[2], given.inputs[3]);
    std::vector<double> result(static_cast<size_t>(s.batch) * s.queries * s.heads * s.depth, 0.0);
    for (int row = 0; row < s.batch * s.queries; ++row) {
        for (int head = 0; head < s.heads; ++head) {
            size_t const group = static_cast<size_t>(row) * s.heads + head;
            double sum = 0;
            for (int p = 0; p < total; ++p) {
                sum += std::exp(logits[group * total + p]);
            }
            int level = 0, first_point = 0, first_cell = 0;
            for (int p = 0; p < total; ++p) {
                while (p >= first_point + s.points[level]) {
                    first_point += s.points[level];
                    first_cell += s.shapes[2 * level] * s.shapes[2 * level + 1];
                    ++level;
                }
                int const height = s.shapes[2 * level], width = s.shapes[2 * level + 1];
                double const weight = std::exp(logits[group * total + p]) / sum;
                auto place = [&](int axis, int size) {
                    double const offset = offsets[(group * total + p) * 2 + axis];
                    return (boxes[4 * row + axis] + offset * 0.5 / s.points[level] * boxes[4 * row + 2 + axis]) * size;
                };
                double x = place(0, width) - 0.5, y = place(1, height) - 0.5;
                if (s.discrete) {
                    x = std::clamp(std::floor(x + 1.0), 0.0, width - 1.0);
                    y = std::clamp(std::floor(y + 1.0), 0.0, height - 1.0);
                }
                for (int corner = 0; corner < 4; ++corner) {
                    int const column = static_cast<int>(std::floor(x)) + corner % 2;
                    int const line = static_cast<int>(std::floor(y)) + corner / 2;
                    if (column < 0 || line < 0 || column >= width || line >= height) {
                        continue;
                    }
                    double const share = weight * (1 - std::abs(x - column)) * (1 - std::abs(y - line));
                    size_t const cell = static_cast<size_t>(row / s.queries) * cells + first_cell + line * width + column;
                    for (int d = 0; d < s.depth; ++d) {
                        result[group * s.depth + d] += share * value[(cell * s.heads + head) * s.depth + d];
                    }
                }
            }
        }
    }
    given.expected = {std::move(result)};
}

inline Case attention_case(AttentionShape const& s, unsigned seed) {
    std::mt19937 generator(seed);
    int const total = [&] { int t = 0; for (int p : s.points) t += p; return t; }();
    int cells = 0;
    for (size_t l = 0; l < s.points.size(); ++l) {
        cells += s.shapes[2 * l] * s.shapes[2 * l + 1];
    }
    Case result{"DeformableAttention", {}, {}, {}, {}, s.type == DataType::kFLOAT ? 2e-5 : 2 * step_of(s.type)};
    result.attributes.add("heads", std::vector<int32_t>{s.heads});
    result.attributes.add("shapes", s.shapes);
    result.attributes.add("points", s.points);
    result.attributes.add("offset_scale", std::vector<float>{0.5F});
    result.attributes.add("discrete", std::vector<int32_t>{s.discrete});
    int const channels = s.heads * s.depth;
    result.inputs = {drawn({s.batch, cells, channels}, s.type, generator, -1, 1),
        drawn({s.batch, s.queries, 4}, s.sampling, generator, 0.05, 0.95),
        drawn({s.batch, s.queries, s.heads * total * 2}, s.sampling, generator, -4, 4),
        drawn({s.batch, s.queries, s.heads * total}, s.sampling, generator, -3, 3)};
    result.outputs = {Tensor({s.batch, s.queries, channels}, s.type)};
    expect_attention(result, s);
    return result;
}

struct OffsetsShape {
    int batch, queries, depth, attention, offsets;
    DataType input, output;
};

inline Case offsets_case(OffsetsShape const& s, unsigned seed) {
    std::mt19937 generator(seed);
    float const scale = 0.05F;
    Case result{"MultiHeadOffsets", {}, {}, {}, {}, s.output == DataType::kFLOAT ? 1e-5 : 8 * step_of(s.output)};
    bool const codes = s.input == DataType::kINT8;
    result.inputs = {drawn({s.batch, s.queries, s.depth}, s.input, generator, codes ? -127 : -7, codes ? 127 : 7)};
    result.attributes.add("input_scale", std::vector<float>{scale});
    result.attributes.add("input_offset", std::vector<int8_t>{0});
    int const rows = s.batch * s.queries;
    int part = 0;
    for (int columns : {s.attention, s.offsets}) {
        std::string const name = part++ == 0 ? "attn" : "sp";
        std::uniform_int_distribution<int> code(-127, 127);
        std::uniform_real_distribution<float> fine(4e-4F, 4e-3F), bias(-4, 4);
        std::vector<int8_t> weights(static_cast<size_t>(columns) * s.depth);
        std::vector<float> scales(columns), biases(columns);
        for (auto& w : weights) w = static_cast<int8_t>(code(generator));
        for (auto& f : scales) f = fine(generator);
        for (auto& b : biases) b = bias(generator);
        result.attributes.add("int8_" + name + "_weight", weights);
        result.attributes.add(name + "_weight_scale", scales);
        result.attributes.add(name + "_weight_offset", std::vector<int8_t>(columns, 0));
        result.attributes.add(name + "_fp32_bias", biases);
        std::vector<double> expected;
        for (int row = 0; row < rows; ++row) {
            for (int column = 0; column < columns; ++column) {
                double sum = 0;
                for (int k = 0; k < s.depth; ++k) {
                    double x = result.inputs[0][static_cast<size_t>(row) * s.depth + k];
                    if (!codes) {
                        x = std::clamp(std::nearbyint(static_cast<float>(x) / scale), -128.0F, 127.0F);
                    }
                    sum += x * weights[static_cast<size_t>(column) * s.depth + k];
                }
                expected.push_back(sum * scale * scales[column] + biases[column]);
            }
        }
        result.expected.push_back(std::move(expected));
        result.outputs.emplace_back(std::vector<int>{s.batch, s.queries, columns}, s.output);
    }
    return result;
}
