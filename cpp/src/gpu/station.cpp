#include "gpu/station.hpp"

#include "gpu/preprocess.hpp"

namespace detrt {

Station::Station(const Engine& engine, const ModelContract& contract, int batch, bool graph)
    : contract_(contract),
      session_(engine, batch, graph),
      images_(session_.input(contract.input_name)),
      sizes_(contract.sizes_name ? &session_.input(*contract.sizes_name) : nullptr) {}

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
