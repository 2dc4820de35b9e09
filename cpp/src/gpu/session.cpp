#include "gpu/session.hpp"

#include <algorithm>
#include <numeric>

#include "core/text.hpp"
#include "detrt/error.hpp"

namespace detrt {
namespace {

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

}  // namespace

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
        const auto shape = context_->output_shape(spec.name);
        if (std::any_of(shape.begin(), shape.end(), [](auto axis) { return axis < 0; }))
            throw EngineError("The shape of the output " + spec.name + ", " + tuple_text(shape) +
                                  ", depends on what is fed, not on its shape.",
                              "Cut the graph before the operator that makes it (NonZero, NonMaxSuppression).");
        outputs_.push_back(tensor_on_device(spec, shape));
    }
    for (const auto* tensors : {&inputs_, &outputs_})
        for (const auto& tensor : *tensors) context_->bind(tensor.name, tensor.memory.get());
    context_->execute(stream());  // the first run compiles and allocates, which a capture must not
    check(cudaStreamSynchronize(stream()), "cudaStreamSynchronize");
    if (!graph) return;
    try {
        graph_ = captured(stream(), [this] { context_->execute(stream()); });
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
        context_->execute(stream());
}

}  // namespace detrt
