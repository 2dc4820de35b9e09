#include "gpu/engine.hpp"

#include <algorithm>

#include "detrt/error.hpp"
#include "gpu/log.hpp"
#include "gpu/tensorrt_api.hpp"
#include "gpu/tf32.hpp"

namespace detrt {
namespace {

namespace fs = std::filesystem;

Shape shape_of(const trt::Dims& dims) { return Shape(dims.d, dims.d + std::max(0, dims.nbDims)); }

trt::Dims dims_of(const Shape& shape) {
    trt::Dims dims{};
    dims.nbDims = static_cast<int>(shape.size());
    for (std::size_t i = 0; i < shape.size(); ++i) dims.d[i] = static_cast<std::decay_t<decltype(dims.d[0])>>(shape[i]);
    return dims;
}

Gpu fitting_gpu(const EngineManifest& manifest, const fs::path& path, int device) {
    Gpu gpu;
    try {
        gpu = gpu_number(device);
    } catch (const EngineError& error) {
        throw EngineError(path.filename().string() + " needs " + manifest.needs() + ". " + error.problem(),
                          "Run it on a machine with such a GPU, or run the ONNX model, on the CPU.");
    }
    refuse_foreign_gpu(manifest, path, gpu.name, gpu.capability);
    return gpu;
}

void load_plugins(const EngineManifest& manifest, const fs::path& path) {
    for (const auto& library : plugin_libraries(manifest, path))
        if (getPluginRegistry()->loadLibrary(library.c_str()) == nullptr)
            throw EngineError(trt::flavour().text() + " cannot load the plugin library " + library.string() + ": " +
                                  the_log().gist() + ".",
                              "Build it for this version.");
}

}  // namespace

struct Context::Native {
    std::unique_ptr<trt::IExecutionContext> context;
};

struct Engine::Native {
    std::unique_ptr<trt::IRuntime> runtime;
    std::unique_ptr<trt::ICudaEngine> engine;
};

Engine::Engine(const fs::path& path, int device) : manifest_(manifest_of(path)), native_(std::make_unique<Native>()) {
    const auto data = whole_engine(path, manifest_);
    refuse_other_platform(manifest_, path);
    const auto flavour = trt::flavour();
    refuse_other_flavour(manifest_, path, flavour);
    gpu_ = fitting_gpu(manifest_, path, device);
    gpu_.use();
    load_plugins(manifest_, path);
    auto& log = the_log();
    log.gist();
    decide_on_tf32(manifest_.precision);
    auto& [runtime, engine] = *native_;
    runtime = trt::make_runtime(log);
    if (runtime && manifest_.version_compatible) runtime->setEngineHostCodeAllowed(true);
    if (runtime) engine.reset(runtime->deserializeCudaEngine(data.data(), data.size()));
    if (!engine)
        throw EngineError(
            flavour.text() + " refuses the engine, which needs " + manifest_.needs() + ": " + log.gist() + ".",
            "Build it for this machine: " + manifest_.rebuild_command(path));
}

Engine::~Engine() = default;

Flavour Engine::flavour() const { return trt::flavour(); }

std::unique_ptr<Context> Engine::context(const std::map<std::string, Shape>& shapes) const {
    std::unique_ptr<trt::IExecutionContext> made(native_->engine->createExecutionContext());
    const bool good = made && std::all_of(shapes.begin(), shapes.end(), [&](const auto& named) {
                          return made->setInputShape(named.first.c_str(), dims_of(named.second));
                      });
    if (!good)
        throw EngineError(trt::flavour().text() + " cannot make a context: " + the_log().gist() + ".",
                          "Free memory on the GPU, or use a shape within the engine's profile.");
    return std::make_unique<Context>(std::make_unique<Context::Native>(Context::Native{std::move(made)}));
}

Context::Context(std::unique_ptr<Native> native) : native_(std::move(native)) {}
Context::~Context() = default;

Shape Context::output_shape(const std::string& name) const {
    return shape_of(native_->context->getTensorShape(name.c_str()));
}

void Context::bind(const std::string& name, void* memory) { native_->context->setTensorAddress(name.c_str(), memory); }

void Context::execute(cudaStream_t stream) {
    if (!native_->context->enqueueV3(stream))
        throw EngineError("TensorRT could not enqueue the engine.", "It says: " + the_log().gist() + ".");
}

}  // namespace detrt
