// Detections drawn into their photo.
#pragma once

#include "detrt/contract.hpp"
#include "detrt/detections.hpp"
#include "detrt/images.hpp"

namespace detrt {

// A copy with boxes, names and scores; a class keeps its colour, and the best is on top.
Pixels drawn(const Pixels& photo, const Detections& found, const ModelContract& contract);

}  // namespace detrt
