// What a plugin computes, free of the ceremony around it: IPluginV2 and IPluginV3 both wrap one of these.
#pragma once

#include "fields.h"

#include <cuda_runtime_api.h>

#include <memory>

namespace detrt {

/// One node's function with its weights. It never changes once it is made, so the clones of a plugin, its execution
/// contexts and their threads share one.
class Operation {
public:
    virtual ~Operation() = default;
    Operation() = default;
    Operation(Operation const&) = delete;
    Operation& operator=(Operation const&) = delete;

    virtual int32_t inputs() const = 0;
    virtual int32_t outputs() const = 0;
    virtual nvinfer1::DimsExprs shape(
        int32_t output, nvinfer1::DimsExprs const* inputs, nvinfer1::IExprBuilder& build) const = 0;
    /// Of an output, where the network leaves it to the plugin.
    virtual nvinfer1::DataType type(int32_t output, nvinfer1::DataType const* inputs) const = 0;
    /// Whether the tensor at `position`, inputs first, may be what it is beside those before it. All are linear.
    virtual bool takes(int32_t position, nvinfer1::DataType const* types) const = 0;
    /// Say whether these shapes can be run. Throws std::invalid_argument where they contradict each other.
    virtual void check(nvinfer1::PluginTensorDesc const* inputs) const = 0;
    /// Bring the weights onto the current GPU, the first time. Allocates, so never while a graph is captured.
    virtual void prepare() const = 0;
    /// Launch on the stream. Allocates nothing, waits for nothing; any number of threads at once.
    virtual cudaError_t enqueue(nvinfer1::PluginTensorDesc const* inputs, nvinfer1::PluginTensorDesc const* outputs,
        void const* const* from, void* const* to, cudaStream_t stream) const = 0;
    /// What makes the same again.
    virtual Fields const& fields() const = 0;
};

/// A plugin's name, the fields that it is made of, and how.
struct Kind {
    char const* name;
    std::vector<nvinfer1::PluginField> fields;
    std::shared_ptr<Operation const> (*make)(Fields const&); // throws std::invalid_argument
};

constexpr char kNamespace[] = "detrt";
constexpr char kVersion[] = "1";

Kind const& multi_head_offsets();
Kind const& deformable_attention();

} // namespace detrt
