// What was found in one image.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace detrt {

struct Detection {
    std::array<float, 4> box;  // x1, y1, x2, y2 in pixels of the original image
    float score;               // 0..1
    std::int64_t label;        // an index into the contract's class names
};

// Of one image, best first.
using Detections = std::vector<Detection>;

// Those that score at least `threshold`.
Detections above(const Detections& found, float threshold);

// How many have a box or score that is NaN or infinite.
std::size_t count_non_finite(const Detections& found);

}  // namespace detrt
