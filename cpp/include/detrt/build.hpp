// ONNX file to engine and manifest.
#pragma once

#include <filesystem>

#include "detrt/manifest.hpp"

namespace detrt {

struct BuildOptions {
    int batch = 1;       // images a run, where the model leaves it open
    bool force = false;  // build even where the engine is up to date
};

// Builds `engine` from the ONNX file `model` as it is, or finds that it is up to date, and returns its manifest; both
// files are written whole, the manifest last. The precision is the graph's: `detrt build` in Python is what converts a
// graph to FP16. TensorRT-RTX needs no GPU for it.
//
// A ModelError where the ONNX file cannot be read, an EngineError where TensorRT cannot build it.
EngineManifest build_engine(const std::filesystem::path& model, const std::filesystem::path& engine,
                            const BuildOptions& options = {});

}  // namespace detrt
