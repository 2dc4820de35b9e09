// MultiHeadOffsets: INT8 codes (..., K), or floats that are quantised on the way; to attention weights before their
// softmax (..., A) and sampling offsets (..., O). The fields are those of the ONNX node: graph/multi_head_offsets.py.
#include "device_bytes.h"
#include "elements.h"
#include "operation.h"

#include "offset_projection.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <stdexcept>

namespace detrt {
namespace {

using namespace nvinfer1;

enum Output { kAttention, kSampling, kOutputs };

char const* const kParts[kOutputs] = {"attn", "sp"};

/// One linear layer on the host, and where it begins in the packed weights.
struct Linear {
    int columns;
    int depth;
    size_t weight, scale, bias;

    Linear(Fields const& fields, std::string const& part, Packed& packed) {
        auto const count = fields.length(part + "_fp32_bias");
        auto const size = fields.length("int8_" + part + "_weight");
        if (count == 0 || size % count != 0) {
            throw std::invalid_argument(
                "a weight of " + std::to_string(size) + " numbers does not divide by its " + std::to_string(count) + " biases");
        }
        columns = static_cast<int>(count);
        depth = static_cast<int>(size / count);
        auto const zeros = fields.codes(part + "_weight_offset", count);
        if (std::any_of(zeros.begin(), zeros.end(), [](int8_t zero) { return zero != 0; })) {
            throw std::invalid_argument("its weights have zero points other than 0, which TensorRT does not take");
        }
        auto const weights = fields.codes("int8_" + part + "_weight", size);
        auto const scales = fields.floats(part + "_weight_scale", count);
        auto const biases = fields.floats(part + "_fp32_bias", count);
        weight = packed.add(weights.data(), weights.size());
        scale = packed.add(scales.data(), scales.size() * sizeof(float));
        bias = packed.add(biases.data(), biases.size() * sizeof(float));
    }
};

class MultiHeadOffsets final : public Operation {
public:
    explicit MultiHeadOffsets(Fields const& given)
        : fields_(given), layers_{{fields_, kParts[kAttention], packed_}, {fields_, kParts[kSampling], packed_}} {
        scale_ = fields_.floats("input_scale", 1)[0];
        if (!(scale_ > 0) || std::isinf(scale_)) {
            throw std::invalid_argument("its input scale is " + std::to_string(scale_));
        }
        if (fields_.integer("input_offset") != 0) {
            throw std::invalid_argument("its input has a zero point other than 0, which TensorRT does not take");
        }
        if (layers_[0].depth != layers_[1].depth) {
            throw std::invalid_argument("its two layers read " + std::to_string(layers_[0].depth) + " and " +
                std::to_string(layers_[1].depth) + " numbers");
        }
        if (fields_.has("output_element")) {
            output_type_ = type_of(fields_.integer("output_element"));
        }
    }

    int32_t inputs() const override { return 1; }
    int32_t outputs() const override { return kOutputs; }

    DimsExprs shape(int32_t output, DimsExprs const* inputs, IExprBuilder& build) const override {
        DimsExprs result = inputs[0];
        if (result.nbDims < 1) {
            throw std::invalid_argument("its input has no axis");
        }
        result.d[result.nbDims - 1] = build.constant(layers_[output].columns);
        return result;
    }

    DataType type(int32_t, DataType const*) const override { return output_type_; }

    bool takes(int32_t position, DataType const* types) const override {
        switch (position) {
        case 0: return types[0] == DataType::kINT8 || is_float(types[0]);
        case 1: return is_float(types[1]) &&
                (types[0] == DataType::kINT8 || types[1] == types[0] || types[1] == DataType::kFLOAT);
        case 2: return types[2] == types[1];
        default: return false;
        }
    }

    void check(PluginTensorDesc const* inputs) const override { rows_of(inputs[0].dims); }

    void prepare() const override {
        std::call_once(prepared_, [&] { weights_ = std::make_unique<DeviceBytes>(packed_.bytes()); });
    }

    cudaError_t enqueue(PluginTensorDesc const* inputs, PluginTensorDesc const* outputs, void const* const* from,
        void* const* to, cudaStream_t stream) const override {
        prepare(); // does nothing but the first time, which was before: at the latest when the shapes came
        DetrtOffsetProjection run{};
        run.x = from[0];
        run.attention = on_device(kAttention, to);
        run.offsets = on_device(kSampling, to);
        run.rows = rows_of(inputs[0].dims);
        run.depth = layers_[0].depth;
        run.x_scale = scale_;
        run.x_element = element_of(inputs[0].type);
        run.output_element = element_of(outputs[0].type);
        return detrt_offset_projection(&run, stream);
    }

    Fields const& fields() const override { return fields_; }

private:
    DetrtLinear on_device(Output output, void* const* to) const {
        Linear const& layer = layers_[output];
        return {weights_->at<signed char>(layer.weight), weights_->at<float>(layer.scale),
            weights_->at<float>(layer.bias), to[output], layer.columns};
    }

    int rows_of(Dims const& dims) const {
        int const depth = layers_[0].depth;
        if (dims.nbDims < 1 || dims.d[dims.nbDims - 1] != depth) {
            throw std::invalid_argument("its input's last axis is not " + std::to_string(depth));
        }
        return static_cast<int>(volume(dims) / depth);
    }

    static DataType type_of(int64_t element) {
        switch (element) {
        case DETRT_FLOAT32: return DataType::kFLOAT;
        case DETRT_FLOAT16: return DataType::kHALF;
#if DETRT_HAS_BFLOAT16
        case DETRT_BFLOAT16: return DataType::kBF16;
#endif
        default: throw std::invalid_argument("its outputs are asked for as element " + std::to_string(element));
        }
    }

    Fields fields_;
    Packed packed_;
    Linear layers_[kOutputs];
    float scale_ = 0;
    DataType output_type_ = DataType::kFLOAT;
    mutable std::once_flag prepared_;
    mutable std::unique_ptr<DeviceBytes const> weights_;
};

std::vector<PluginField> field_names() {
    using Type = PluginFieldType;
    return {{"input_scale", nullptr, Type::kFLOAT32, 1}, {"input_offset", nullptr, Type::kINT8, 1},
        {"int8_attn_weight", nullptr, Type::kINT8, 0}, {"attn_weight_scale", nullptr, Type::kFLOAT32, 0},
        {"attn_weight_offset", nullptr, Type::kINT8, 0}, {"attn_fp32_bias", nullptr, Type::kFLOAT32, 0},
        {"int8_sp_weight", nullptr, Type::kINT8, 0}, {"sp_weight_scale", nullptr, Type::kFLOAT32, 0},
        {"sp_weight_offset", nullptr, Type::kINT8, 0}, {"sp_fp32_bias", nullptr, Type::kFLOAT32, 0},
        {"output_element", nullptr, Type::kINT32, 1}};
}

} // namespace

Kind const& multi_head_offsets() {
    static Kind const kind{"MultiHeadOffsets", field_names(),
        [](Fields const& fields) -> std::shared_ptr<Operation const> {
            return std::make_shared<MultiHeadOffsets>(fields);
        }};
    return kind;
}

} // namespace detrt
