#include "plugin_v3.h"

#if DETRT_HAS_PLUGIN_V3

#include "guard.h"

#include <vector>

namespace detrt {

using namespace nvinfer1;

IPluginCapability* PluginV3::getCapabilityInterface(PluginCapabilityType type) noexcept {
    switch (type) {
    case PluginCapabilityType::kCORE: return static_cast<IPluginV3OneCore*>(this);
    case PluginCapabilityType::kBUILD: return static_cast<IPluginV3OneBuild*>(this);
    case PluginCapabilityType::kRUNTIME: return static_cast<IPluginV3OneRuntime*>(this);
    }
    return nullptr;
}

IPluginV3* PluginV3::clone() noexcept {
    return guarded<IPluginV3*>(kind_.name, nullptr, [&] { return new PluginV3(kind_, operation_); });
}

int32_t PluginV3::getOutputDataTypes(
    DataType* outputs, int32_t output_count, DataType const* inputs, int32_t input_count) const noexcept {
    if (output_count != operation_->outputs() || input_count != operation_->inputs()) {
        return -1;
    }
    for (int32_t i = 0; i < output_count; ++i) {
        outputs[i] = operation_->type(i, inputs);
    }
    return 0;
}

int32_t PluginV3::getOutputShapes(DimsExprs const* inputs, int32_t input_count, DimsExprs const*, int32_t,
    DimsExprs* outputs, int32_t output_count, IExprBuilder& build) noexcept {
    return guarded(kind_.name, -1, [&] {
        if (output_count != operation_->outputs() || input_count != operation_->inputs()) {
            return -1;
        }
        for (int32_t i = 0; i < output_count; ++i) {
            outputs[i] = operation_->shape(i, inputs, build);
        }
        return 0;
    });
}

bool PluginV3::supportsFormatCombination(
    int32_t position, DynamicPluginTensorDesc const* tensors, int32_t input_count, int32_t output_count) noexcept {
    return guarded(kind_.name, false, [&] {
        if (input_count != operation_->inputs() || output_count != operation_->outputs() ||
            tensors[position].desc.format != TensorFormat::kLINEAR) {
            return false;
        }
        std::vector<DataType> types;
        for (int32_t i = 0; i <= position; ++i) {
            types.push_back(tensors[i].desc.type);
        }
        return operation_->takes(position, types.data());
    });
}

int32_t PluginV3::configurePlugin(
    DynamicPluginTensorDesc const*, int32_t input_count, DynamicPluginTensorDesc const*, int32_t output_count) noexcept {
    return input_count == operation_->inputs() && output_count == operation_->outputs() ? 0 : -1;
}

IPluginV3* PluginV3::attachToContext(IPluginResourceContext*) noexcept {
    return guarded<IPluginV3*>(kind_.name, nullptr, [&] {
        operation_->prepare();
        return new PluginV3(kind_, operation_);
    });
}

int32_t PluginV3::onShapeChange(PluginTensorDesc const* inputs, int32_t, PluginTensorDesc const*, int32_t) noexcept {
    return guarded(kind_.name, -1, [&] {
        operation_->check(inputs);
        operation_->prepare(); // the builder times plugins that it attached to nothing
        return 0;
    });
}

int32_t PluginV3::enqueue(PluginTensorDesc const* inputs, PluginTensorDesc const* outputs, void const* const* from,
    void* const* to, void*, cudaStream_t stream) noexcept {
    return guarded(kind_.name, -1, [&] {
        return static_cast<int32_t>(operation_->enqueue(inputs, outputs, from, to, stream));
    });
}

PluginFieldCollection const* PluginV3::getFieldsToSerialize() noexcept { return &operation_->fields().collection(); }

CreatorV3::CreatorV3(Kind const& kind)
    : kind_(kind), names_{static_cast<int32_t>(kind.fields.size()), kind.fields.data()} {}

IPluginV3* CreatorV3::createPlugin(AsciiChar const*, PluginFieldCollection const* fields, TensorRTPhase) noexcept {
    return guarded<IPluginV3*>(kind_.name, nullptr, [&] {
        return new PluginV3(kind_, kind_.make(fields ? Fields(*fields) : Fields()));
    });
}

} // namespace detrt

#endif
