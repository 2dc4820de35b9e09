// An engine in memory, and what runs it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "detrt/manifest.hpp"
#include "gpu/cuda.hpp"

namespace detrt {

class Detector;

// Runs an engine at one set of input shapes, between buffers of its caller.
class Context {
  public:
    struct Native;

    explicit Context(std::unique_ptr<Native> native);
    ~Context();

    Shape output_shape(const std::string& name) const;
    void bind(const std::string& name, void* memory);

    // Enqueues one run.
    void execute(cudaStream_t stream);

  private:
    std::unique_ptr<Native> native_;
};

// A deserialised engine that may run here; the manifest has been asked before TensorRT was.
class Engine {
  public:
    // An EngineError says what the engine needs and what is here.
    Engine(const std::filesystem::path& path, int device);
    ~Engine();

    const EngineManifest& manifest() const { return manifest_; }
    const Gpu& gpu() const { return gpu_; }

    // The TensorRT that runs it.
    Flavour flavour() const;

    // A context for these input shapes, with scratch memory of its own.
    std::unique_ptr<Context> context(const std::map<std::string, Shape>& shapes) const;

  private:
    struct Native;

    EngineManifest manifest_;
    Gpu gpu_;
    std::unique_ptr<Native> native_;
};

// What a detector runs.
const Engine& engine_of(const Detector& detector);

}  // namespace detrt
