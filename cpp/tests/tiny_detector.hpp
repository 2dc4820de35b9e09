// The tiny detector as an engine: built by TensorRT, or on the stand-in for it.
#pragma once

#include <filesystem>

namespace detrt::tiny {

// Whether an engine can be run here.
bool can_detect();

// Makes one in a folder, for a batch size; its path.
std::filesystem::path engine_in(const std::filesystem::path& folder, int batch);

}  // namespace detrt::tiny
