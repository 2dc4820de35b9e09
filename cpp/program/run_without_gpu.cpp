// detrt-run where it was made without CUDA or TensorRT: everything up to the GPU, so that it can be tested anywhere.
#include "detrt/error.hpp"
#include "detrt/images.hpp"
#include "detrt/manifest.hpp"
#include "run.hpp"

namespace detrt::program {

int run(const Arguments& asked) {
    find_photos(asked.sources);
    if (!asked.engine.empty()) {
        const auto manifest = manifest_of(asked.engine);
        whole_engine(asked.engine, manifest);
        refuse_other_platform(manifest, asked.engine);
        manifest.contract();
    }
    throw ModelError("This detrt-run was made without TensorRT, so it can run no model.",
                     "Build it with -DDETRT_GPU=ON where CUDA and TensorRT are: docs/cpp.md.");
}

}  // namespace detrt::program
