// Versions and compute capabilities as numbers.
#pragma once

#include <string>
#include <vector>

namespace detrt {

// `10.14.1.48.post1` -> (10, 14, 1, 48).
std::vector<int> version_numbers(const std::string& version);

}  // namespace detrt
