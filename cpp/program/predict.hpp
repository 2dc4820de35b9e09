// Detections of photos, to every place that the arguments name.
#pragma once

#include <filesystem>
#include <vector>

#include "arguments.hpp"
#include "detrt/detector.hpp"

namespace detrt::program {

// The exit code: 3 where a photo was skipped, 130 after Ctrl-C.
int predict(Detector& detector, const std::vector<std::filesystem::path>& photos, const Arguments& asked);

}  // namespace detrt::program
