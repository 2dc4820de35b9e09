// IPluginV2DynamicExt: TensorRT 8.6, and 10 for those who need it there (deprecated).
#pragma once

#include "operation.h"

#include <string>

DETRT_BEGIN_DEPRECATED

namespace detrt {

class PluginV2 final : public nvinfer1::IPluginV2DynamicExt {
public:
    PluginV2(Kind const& kind, std::shared_ptr<Operation const> operation, std::string name_space)
        : kind_(kind), operation_(std::move(operation)), namespace_(std::move(name_space)) {}

    nvinfer1::AsciiChar const* getPluginType() const noexcept override { return kind_.name; }
    nvinfer1::AsciiChar const* getPluginVersion() const noexcept override { return kVersion; }
    nvinfer1::AsciiChar const* getPluginNamespace() const noexcept override { return namespace_.c_str(); }
    void setPluginNamespace(nvinfer1::AsciiChar const* given) noexcept override;
    nvinfer1::IPluginV2DynamicExt* clone() const noexcept override;
    void destroy() noexcept override { delete this; }

    int32_t getNbOutputs() const noexcept override { return operation_->outputs(); }
    nvinfer1::DataType getOutputDataType(
        int32_t output, nvinfer1::DataType const* inputs, int32_t input_count) const noexcept override;
    nvinfer1::DimsExprs getOutputDimensions(int32_t output, nvinfer1::DimsExprs const* inputs, int32_t input_count,
        nvinfer1::IExprBuilder& build) noexcept override;
    bool supportsFormatCombination(int32_t position, nvinfer1::PluginTensorDesc const* tensors, int32_t input_count,
        int32_t output_count) noexcept override;
    void configurePlugin(nvinfer1::DynamicPluginTensorDesc const*, int32_t, nvinfer1::DynamicPluginTensorDesc const*,
        int32_t) noexcept override {}
    size_t getWorkspaceSize(nvinfer1::PluginTensorDesc const*, int32_t, nvinfer1::PluginTensorDesc const*,
        int32_t) const noexcept override {
        return 0;
    }

    int32_t initialize() noexcept override;
    void terminate() noexcept override {} // the weights go with the last clone that shares them
    int32_t enqueue(nvinfer1::PluginTensorDesc const* inputs, nvinfer1::PluginTensorDesc const* outputs,
        void const* const* from, void* const* to, void* workspace, cudaStream_t stream) noexcept override;

    size_t getSerializationSize() const noexcept override;
    void serialize(void* buffer) const noexcept override;

private:
    Kind const& kind_;
    std::shared_ptr<Operation const> operation_;
    std::string namespace_;
};

class CreatorV2 final : public nvinfer1::IPluginCreator {
public:
    explicit CreatorV2(Kind const& kind);

    nvinfer1::AsciiChar const* getPluginName() const noexcept override { return kind_.name; }
    nvinfer1::AsciiChar const* getPluginVersion() const noexcept override { return kVersion; }
    nvinfer1::AsciiChar const* getPluginNamespace() const noexcept override { return namespace_.c_str(); }
    void setPluginNamespace(nvinfer1::AsciiChar const* given) noexcept override;
    nvinfer1::PluginFieldCollection const* getFieldNames() noexcept override { return &names_; }
    nvinfer1::IPluginV2* createPlugin(
        nvinfer1::AsciiChar const* name, nvinfer1::PluginFieldCollection const* fields) noexcept override;
    nvinfer1::IPluginV2* deserializePlugin(
        nvinfer1::AsciiChar const* name, void const* bytes, size_t size) noexcept override;

private:
    Kind const& kind_;
    nvinfer1::PluginFieldCollection names_;
    std::string namespace_ = kNamespace;
};

} // namespace detrt

DETRT_END_DEPRECATED
