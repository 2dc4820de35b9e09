// The smallest right TensorRT plugin: y = factor * x, for FP32 and FP16 tensors of any shape. TensorRT 10 and 11.
// docs/tutorial-plugin.md walks through it.
#include <NvInferRuntime.h>
#include <cuda_fp16.h>

#include <string_view>

namespace example {

using namespace nvinfer1;

constexpr char kName[] = "Scale", kVersion[] = "1", kNamespace[] = "example";

template <typename T>
__global__ void scale(T const* x, T* y, long long count, float factor) {
    long long const i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    if (i < count) {
        y[i] = static_cast<T>(static_cast<float>(x[i]) * factor);
    }
}

// One class for the three capabilities. Nothing in it changes after it is made, so its clones share nothing that could
// be raced for, and any number of contexts may run at once.
class ScalePlugin final : public IPluginV3,
                          public IPluginV3OneCore,
                          public IPluginV3OneBuild,
                          public IPluginV3OneRuntime {
public:
    explicit ScalePlugin(float factor) : factor_(factor) {}

    IPluginCapability* getCapabilityInterface(PluginCapabilityType type) noexcept override {
        switch (type) { // each is another base class, at another address
        case PluginCapabilityType::kCORE: return static_cast<IPluginV3OneCore*>(this);
        case PluginCapabilityType::kBUILD: return static_cast<IPluginV3OneBuild*>(this);
        case PluginCapabilityType::kRUNTIME: return static_cast<IPluginV3OneRuntime*>(this);
        }
        return nullptr;
    }
    IPluginV3* clone() noexcept override { return new ScalePlugin(factor_); }

    // Core: what it is called. The same as the creator says.
    AsciiChar const* getPluginName() const noexcept override { return kName; }
    AsciiChar const* getPluginVersion() const noexcept override { return kVersion; }
    AsciiChar const* getPluginNamespace() const noexcept override { return kNamespace; }

    // Build: what comes out, and what it can take.
    int32_t getNbOutputs() const noexcept override { return 1; }
    int32_t getOutputDataTypes(DataType* outputs, int32_t, DataType const* inputs, int32_t) const noexcept override {
        outputs[0] = inputs[0];
        return 0;
    }
    int32_t getOutputShapes(DimsExprs const* inputs, int32_t, DimsExprs const*, int32_t, DimsExprs* outputs, int32_t,
        IExprBuilder&) noexcept override {
        outputs[0] = inputs[0];
        return 0;
    }
    bool supportsFormatCombination(
        int32_t position, DynamicPluginTensorDesc const* tensors, int32_t, int32_t) noexcept override {
        PluginTensorDesc const& here = tensors[position].desc;
        bool const known = here.type == DataType::kFLOAT || here.type == DataType::kHALF;
        return known && here.format == TensorFormat::kLINEAR && here.type == tensors[0].desc.type;
    }
    int32_t configurePlugin(
        DynamicPluginTensorDesc const*, int32_t, DynamicPluginTensorDesc const*, int32_t) noexcept override {
        return 0;
    }

    // Runtime: the shapes come with each call, so nothing has to be remembered.
    IPluginV3* attachToContext(IPluginResourceContext*) noexcept override { return clone(); }
    int32_t onShapeChange(PluginTensorDesc const*, int32_t, PluginTensorDesc const*, int32_t) noexcept override {
        return 0;
    }
    int32_t enqueue(PluginTensorDesc const* inputs, PluginTensorDesc const*, void const* const* from, void* const* to,
        void*, cudaStream_t stream) noexcept override {
        long long count = 1;
        for (int32_t i = 0; i < inputs[0].dims.nbDims; ++i) {
            count *= inputs[0].dims.d[i];
        }
        if (count == 0) {
            return 0;
        }
        auto const blocks = static_cast<unsigned>((count + 255) / 256);
        if (inputs[0].type == DataType::kFLOAT) {
            auto const* x = static_cast<float const*>(from[0]);
            scale<<<blocks, 256, 0, stream>>>(x, static_cast<float*>(to[0]), count, factor_);
        } else {
            auto const* x = static_cast<__half const*>(from[0]);
            scale<<<blocks, 256, 0, stream>>>(x, static_cast<__half*>(to[0]), count, factor_);
        }
        return cudaPeekAtLastError() == cudaSuccess ? 0 : -1;
    }
    PluginFieldCollection const* getFieldsToSerialize() noexcept override {
        field_ = PluginField("factor", &factor_, PluginFieldType::kFLOAT32, 1);
        collection_ = {1, &field_};
        return &collection_;
    }

private:
    float const factor_;
    PluginField field_; // only views: what getFieldsToSerialize hands out must outlive the call
    PluginFieldCollection collection_{};
};

class ScaleCreator final : public IPluginCreatorV3One {
public:
    AsciiChar const* getPluginName() const noexcept override { return kName; }
    AsciiChar const* getPluginVersion() const noexcept override { return kVersion; }
    AsciiChar const* getPluginNamespace() const noexcept override { return kNamespace; }
    PluginFieldCollection const* getFieldNames() noexcept override { return &names_; }

    // At build the fields are the node's attributes; at load, what getFieldsToSerialize gave. Here they are the same.
    IPluginV3* createPlugin(AsciiChar const*, PluginFieldCollection const* given, TensorRTPhase) noexcept override {
        for (int32_t i = 0; given && i < given->nbFields; ++i) {
            PluginField const& field = given->fields[i];
            if (std::string_view(field.name) == "factor" && field.type == PluginFieldType::kFLOAT32 &&
                field.length == 1 && field.data) {
                return new ScalePlugin(*static_cast<float const*>(field.data));
            }
        }
        return nullptr; // no factor, no plugin: a default would hide a misspelt attribute
    }

private:
    PluginField name_{"factor", nullptr, PluginFieldType::kFLOAT32, 1};
    PluginFieldCollection names_{1, &name_};
};

} // namespace example

// What IPluginRegistry::loadLibrary looks for. The creators live as long as the library.
extern "C" __attribute__((visibility("default"))) nvinfer1::IPluginCreatorInterface* const* getCreators(
    int32_t& count) {
    static example::ScaleCreator creator;
    static nvinfer1::IPluginCreatorInterface* const all[] = {&creator};
    count = 1;
    return all;
}

extern "C" __attribute__((visibility("default"))) void setLoggerFinder(nvinfer1::ILoggerFinder*) {}
