#include "gpu/engine.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/text.hpp"
#include "detrt/error.hpp"
#include "gpu/log.hpp"

namespace detrt {
namespace {

namespace fs = std::filesystem;

std::size_t width_of(const std::string& dtype) {
    if (dtype == "int64" || dtype == "float64") return 8;
    if (dtype == "float32" || dtype == "int32") return 4;
    return dtype == "float16" || dtype == "bfloat16" ? 2 : 1;
}

DeviceTensor tensor_on_device(const TensorSpec& spec, const Shape& shape) {
    const auto count = std::accumulate(shape.begin(), shape.end(), std::size_t(1),
                                       [](std::size_t product, auto axis) { return product * std::size_t(axis); });
    const auto bytes = count * width_of(spec.dtype);
    return {spec.name, spec.dtype, shape, bytes, device_memory(bytes)};
}

Shape shape_of(const trt::Dims& dims) { return Shape(dims.d, dims.d + std::max(0, dims.nbDims)); }

trt::Dims dims_of(const Shape& shape) {
    trt::Dims dims{};
    dims.nbDims = static_cast<int>(shape.size());
    for (std::size_t i = 0; i < shape.size(); ++i) dims.d[i] = static_cast<std::decay_t<decltype(dims.d[0])>>(shape[i]);
    return dims;
}

// The engine's shape of an input at a batch size.
Shape shape_at(const EngineManifest& manifest, const TensorSpec& spec, int batch) {
    const auto& [least, usual, greatest] = manifest.profile.at(spec.name);
    Shape shape = least;
    if (!shape.empty()) shape[0] = batch;
    for (std::size_t i = 0; i < shape.size(); ++i)
        if (shape[i] < least[i] || shape[i] > greatest[i])
            throw EngineError("The input " + spec.name + " was fed the shape " + tuple_text(shape) +
                                  ", but the engine takes " + tuple_text(least) + " to " + tuple_text(greatest) + ".",
                              "Feed smaller or larger batches, or build the engine for them: detrt build --batch "
                              "MIN:USUAL:MAX");
    return shape;
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

Engine::Engine(const fs::path& path, int device) : manifest_(manifest_of(path)) {
    const auto data = whole_engine(path, manifest_);
    refuse_other_platform(manifest_, path);
    const auto flavour = trt::flavour();
    refuse_other_flavour(manifest_, path, flavour);
    gpu_ = fitting_gpu(manifest_, path, device);
    gpu_.use();
    load_plugins(manifest_, path);
    auto& log = the_log();
    log.gist();
    runtime_ = trt::make_runtime(log);
    if (runtime_ && manifest_.version_compatible) runtime_->setEngineHostCodeAllowed(true);
    if (runtime_) engine_.reset(runtime_->deserializeCudaEngine(data.data(), data.size()));
    if (!engine_)
        throw EngineError(
            flavour.text() + " refuses the engine, which needs " + manifest_.needs() + ": " + log.gist() + ".",
            "Build it for this machine: " + manifest_.rebuild_command(path));
}

std::unique_ptr<trt::IExecutionContext> Engine::context(const std::map<std::string, Shape>& shapes) const {
    std::unique_ptr<trt::IExecutionContext> made(engine_->createExecutionContext());
    const bool good = made && std::all_of(shapes.begin(), shapes.end(), [&](const auto& named) {
                          return made->setInputShape(named.first.c_str(), dims_of(named.second));
                      });
    if (good) return made;
    throw EngineError(trt::flavour().text() + " cannot make a context: " + the_log().gist() + ".",
                      "Free memory on the GPU, or use a shape within the engine's profile.");
}

Session::Session(const Engine& engine, int batch, bool graph) {
    engine.gpu().use();
    stream_ = new_stream();
    std::map<std::string, Shape> shapes;
    for (const auto& spec : engine.manifest().inputs) {
        shapes[spec.name] = shape_at(engine.manifest(), spec, batch);
        inputs_.push_back(tensor_on_device(spec, shapes[spec.name]));
        const auto& made = inputs_.back();  // what is read before the first upload shall be defined
        check(cudaMemsetAsync(made.memory.get(), 0, made.bytes, stream()), "cudaMemsetAsync");
    }
    context_ = engine.context(shapes);
    for (const auto& spec : engine.manifest().outputs) {
        const auto shape = shape_of(context_->getTensorShape(spec.name.c_str()));
        if (std::any_of(shape.begin(), shape.end(), [](auto axis) { return axis < 0; }))
            throw EngineError("The shape of the output " + spec.name + ", " + tuple_text(shape) +
                                  ", depends on what is fed, not on its shape.",
                              "Cut the graph before the operator that makes it (NonZero, NonMaxSuppression).");
        outputs_.push_back(tensor_on_device(spec, shape));
    }
    for (const auto* tensors : {&inputs_, &outputs_})
        for (const auto& tensor : *tensors) context_->setTensorAddress(tensor.name.c_str(), tensor.memory.get());
    execute();  // the first run compiles and allocates, which a capture must not
    check(cudaStreamSynchronize(stream()), "cudaStreamSynchronize");
    if (!graph) return;
    try {
        graph_ = captured(stream(), [this] { execute(); });
    } catch (const EngineError&) {
        graph_.reset();  // an engine that cannot be captured runs kernel by kernel, which is slower
    }
}

const DeviceTensor& Session::input(const std::string& name) const {
    return *std::find_if(inputs_.begin(), inputs_.end(), [&](const auto& tensor) { return tensor.name == name; });
}

void Session::launch() {
    if (graph_)
        check(cudaGraphLaunch(graph_.get(), stream()), "cudaGraphLaunch");
    else
        execute();
}

void Session::execute() {
    if (!context_->enqueueV3(stream()))
        throw EngineError("TensorRT could not enqueue the engine.", "It says: " + the_log().gist() + ".");
}

}  // namespace detrt
