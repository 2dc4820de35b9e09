// What can be timed: an engine's runs on the GPU, calls on the host, a stream.
#pragma once

#include <memory>
#include <vector>

#include "detrt/detector.hpp"
#include "turns.hpp"

namespace detrt {
class Engine;
}

namespace detrt::program {

// Runs between resident buffers, by the GPU's own events. Before each run the next of several input sets, together
// larger than a cache, is copied into the input buffers, outside of the events.
std::unique_ptr<Timeable> engine_runs(const Subject& subject, const Engine& engine, const ModelContract& contract,
                                      const std::vector<Source>& photos);

// Calls of `Detector::detect` on batches: from decoded photos for `infer`, from the bytes of files for `e2e`.
std::unique_ptr<Timeable> detector_calls(const Subject& subject, Detector& detector, const std::vector<Source>& photos);

// A stream of photos, timed a batch at a time as its outcomes come out: the throughput of a long job.
std::unique_ptr<Timeable> stream_runs(const Subject& subject, Detector& detector, const std::vector<Source>& photos);

}  // namespace detrt::program
