// Detector: photos in, Detections out.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "detrt/contract.hpp"
#include "detrt/detections.hpp"
#include "detrt/error.hpp"
#include "detrt/images.hpp"
#include "detrt/manifest.hpp"

namespace detrt {

class Engine;

struct DetectorOptions {
    int device = 0;     // number of the GPU
    bool graph = true;  // launch through a CUDA graph, which an engine of many small kernels needs to be fast
    bool gpu_decode =
        false;  // let the GPU's decoder chip decode JPEGs, bit for bit as the CPU does, where there is one
};

// What became of one photo of a stream: detections, or the error that names why there are none.
struct Outcome {
    Source source;
    Size size;  // of the photo, where it could be decoded
    Detections found;
    std::shared_ptr<const Error> error;
};

struct StreamOptions {
    int batch = 1;    // photos a run of the network
    int workers = 0;  // threads that decode; as many as there are cores where it is 0
};

// A model that takes photos: preprocess, run, decode, all by the model's own contract.
//
//     auto detector = detrt::Detector::open("model.engine");
//     for (const auto& one : detector(detrt::Source::file("street.jpg"))) use(one.box, one.score, one.label);
//
// What goes to the GPU are JPEG files or 8-bit pixels, what comes back are boxes. Buffers are made once for a batch
// size. A detector may be used by several threads, which take turns; a stream is one turn.
class Detector {
  public:
    // Loads an engine by the manifest beside it. An EngineError says what the engine needs and what is here.
    static Detector open(const std::filesystem::path& engine, const DetectorOptions& options = {});

    Detector(Detector&&) noexcept;
    Detector& operator=(Detector&&) noexcept;
    ~Detector();

    const ModelContract& contract() const;
    const EngineManifest& manifest() const;

    // What runs it, for people: `TensorRT-RTX 1.6.1.120 (fp16)`.
    std::string name() const;

    // Detections of one photo, at the least latency. An ImageError where it cannot be decoded.
    Detections operator()(const Source& photo);

    // Detections of several photos of any sizes, run as one batch.
    std::vector<Detections> detect(const std::vector<Source>& photos);

    // Detects in every photo that `next` gives, in order and in bounded memory: threads decode the next groups while
    // the GPU runs this one. `take` is called by the calling thread; a photo that cannot be decoded fails alone. A
    // network that cannot run ends the stream with its error.
    void stream(const std::function<std::optional<Source>()>& next, const std::function<void(Outcome&&)>& take,
                const StreamOptions& options = {});

    class Impl;

  private:
    friend const Engine& engine_of(const Detector& detector);
    explicit Detector(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace detrt
