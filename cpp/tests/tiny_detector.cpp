#include "tiny_detector.hpp"

#include <fstream>

#include "detrt/build.hpp"
#include "gpu/cuda.hpp"
#include "tiny_onnx.hpp"

namespace detrt::tiny {

bool can_detect() { return gpu_count() > 0; }

std::filesystem::path engine_in(const std::filesystem::path& folder, int batch) {
    std::ofstream(folder / "tiny.onnx", std::ios::binary) << raw_detector(-1);
    build_engine(folder / "tiny.onnx", folder / "tiny.engine", {batch});
    return folder / "tiny.engine";
}

}  // namespace detrt::tiny
