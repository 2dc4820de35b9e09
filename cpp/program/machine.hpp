// Where a benchmark runs, and the GPU's clock, as nvidia-smi tells. What nobody can tell is left out.
#pragma once

#include <optional>
#include <string>

#include "timings.hpp"

namespace detrt::program {

Machine this_machine(int device, const std::string& runtime);

// The present clock of the GPU's processors, in MHz.
std::optional<int> gpu_clock(int device);

// The time as a report tells it, UTC.
std::string now();

}  // namespace detrt::program
