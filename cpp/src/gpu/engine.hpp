// An engine in memory, and one place to run it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "detrt/manifest.hpp"
#include "gpu/cuda.hpp"
#include "gpu/tensorrt_api.hpp"

namespace detrt {

// A deserialised engine that may run here; the manifest has been asked before TensorRT was.
class Engine {
  public:
    // An EngineError says what the engine needs and what is here.
    Engine(const std::filesystem::path& path, int device);

    const EngineManifest& manifest() const { return manifest_; }
    const Gpu& gpu() const { return gpu_; }

    // A context for these input shapes, with scratch memory of its own.
    std::unique_ptr<trt::IExecutionContext> context(const std::map<std::string, Shape>& shapes) const;

  private:
    EngineManifest manifest_;
    Gpu gpu_;
    std::unique_ptr<trt::IRuntime> runtime_;
    std::unique_ptr<trt::ICudaEngine> engine_;
};

class Detector;

// What a detector runs.
const Engine& engine_of(const Detector& detector);

// A tensor on the device.
struct DeviceTensor {
    std::string name, dtype;
    Shape shape;
    std::size_t bytes = 0;
    DeviceMemory memory;
};

// One place to run an engine at one batch size: a stream, buffers that are made once, a CUDA graph. One thread at a
// time.
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
    void execute();

    Stream stream_;
    std::vector<DeviceTensor> inputs_, outputs_;
    std::unique_ptr<trt::IExecutionContext> context_;
    Graph graph_;
};

}  // namespace detrt
