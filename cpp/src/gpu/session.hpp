// One place to run an engine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gpu/engine.hpp"

namespace detrt {

// A tensor on the device.
struct DeviceTensor {
    std::string name, dtype;
    Shape shape;
    std::size_t bytes = 0;
    DeviceMemory memory;
};

// A stream, buffers for one batch size that are made once, a CUDA graph. One thread at a time.
class Session {
  public:
    // Allocates, runs once (TensorRT-RTX compiles then) and captures the graph. An EngineError where the engine does
    // not take such a batch.
    Session(const Engine& engine, int batch, bool graph);

    cudaStream_t stream() const { return stream_.get(); }
    const DeviceTensor& input(const std::string& name) const;
    const std::vector<DeviceTensor>& inputs() const { return inputs_; }
    const std::vector<DeviceTensor>& outputs() const { return outputs_; }

    // Enqueues one run between the device buffers.
    void launch();

  private:
    Stream stream_;
    std::vector<DeviceTensor> inputs_, outputs_;
    std::unique_ptr<Context> context_;
    Graph graph_;
};

}  // namespace detrt
