#include "gpu/station.hpp"

#include "core/fit.hpp"
#include "gpu/preprocess.hpp"

namespace detrt {
namespace {

std::vector<TensorSpec> specs_of(const std::vector<DeviceTensor>& tensors) {
    std::vector<TensorSpec> specs;
    for (const auto& tensor : tensors) specs.push_back({tensor.name, tensor.shape, tensor.dtype});
    return specs;
}

}  // namespace

Station::Station(const Engine& engine, const ModelContract& contract, int batch, bool graph)
    : contract_(contract),
      session_(engine, batch, graph),
      images_(session_.input(contract.input_name)),
      sizes_(contract.sizes_name ? &session_.input(*contract.sizes_name) : nullptr) {
    // the manifest may leave open what the engine's outputs are
    refuse_misfit(contract, specs_of(session_.inputs()), specs_of(session_.outputs()), batch);
}

void Station::enqueue(Place& place) {
    const auto stream = session_.stream();
    const auto* records = place.send_records(stream);
    enqueue_preprocessing(records, place.batch(), images_.memory.get(), images_.dtype, contract_, stream);
    if (sizes_) copy(sizes_->memory.get(), place.sizes(), sizes_->bytes, stream);
    session_.launch();
    place.fetch(session_.outputs(), stream);
}

void Station::wait() const { check(cudaStreamSynchronize(session_.stream()), "cudaStreamSynchronize"); }

}  // namespace detrt
