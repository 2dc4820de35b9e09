#include "plugin_v2.h"

#include "guard.h"

#include <cstring>
#include <vector>

DETRT_BEGIN_DEPRECATED

namespace detrt {

using namespace nvinfer1;

void PluginV2::setPluginNamespace(AsciiChar const* given) noexcept {
    guarded(kind_.name, false, [&] { return namespace_ = given ? given : "", true; });
}

IPluginV2DynamicExt* PluginV2::clone() const noexcept {
    return guarded<IPluginV2DynamicExt*>(
        kind_.name, nullptr, [&] { return new PluginV2(kind_, operation_, namespace_); });
}

DataType PluginV2::getOutputDataType(int32_t output, DataType const* inputs, int32_t) const noexcept {
    return operation_->type(output, inputs);
}

DimsExprs PluginV2::getOutputDimensions(
    int32_t output, DimsExprs const* inputs, int32_t input_count, IExprBuilder& build) noexcept {
    return guarded(kind_.name, DimsExprs{}, [&] {
        return input_count == operation_->inputs() ? operation_->shape(output, inputs, build) : DimsExprs{};
    });
}

bool PluginV2::supportsFormatCombination(
    int32_t position, PluginTensorDesc const* tensors, int32_t input_count, int32_t output_count) noexcept {
    return guarded(kind_.name, false, [&] {
        if (input_count != operation_->inputs() || output_count != operation_->outputs() ||
            tensors[position].format != TensorFormat::kLINEAR) {
            return false;
        }
        std::vector<DataType> types;
        for (int32_t i = 0; i <= position; ++i) {
            types.push_back(tensors[i].type);
        }
        return operation_->takes(position, types.data());
    });
}

int32_t PluginV2::initialize() noexcept {
    return guarded(kind_.name, -1, [&] { return operation_->prepare(), 0; });
}

int32_t PluginV2::enqueue(PluginTensorDesc const* inputs, PluginTensorDesc const* outputs, void const* const* from,
    void* const* to, void*, cudaStream_t stream) noexcept {
    return guarded(kind_.name, -1, [&] {
        operation_->check(inputs);
        return static_cast<int32_t>(operation_->enqueue(inputs, outputs, from, to, stream));
    });
}

size_t PluginV2::getSerializationSize() const noexcept {
    return guarded(kind_.name, size_t{0}, [&] { return operation_->fields().bytes().size(); });
}

void PluginV2::serialize(void* buffer) const noexcept {
    guarded(kind_.name, false, [&] {
        auto const bytes = operation_->fields().bytes();
        return std::memcpy(buffer, bytes.data(), bytes.size()), true;
    });
}

CreatorV2::CreatorV2(Kind const& kind)
    : kind_(kind), names_{static_cast<int32_t>(kind.fields.size()), kind.fields.data()} {}

void CreatorV2::setPluginNamespace(AsciiChar const* given) noexcept {
    guarded(kind_.name, false, [&] { return namespace_ = given ? given : "", true; });
}

IPluginV2* CreatorV2::createPlugin(AsciiChar const*, PluginFieldCollection const* fields) noexcept {
    return guarded<IPluginV2*>(kind_.name, nullptr, [&] {
        return new PluginV2(kind_, kind_.make(fields ? Fields(*fields) : Fields()), namespace_);
    });
}

IPluginV2* CreatorV2::deserializePlugin(AsciiChar const*, void const* bytes, size_t size) noexcept {
    return guarded<IPluginV2*>(
        kind_.name, nullptr, [&] { return new PluginV2(kind_, kind_.make(Fields(bytes, size)), namespace_); });
}

} // namespace detrt

DETRT_END_DEPRECATED
