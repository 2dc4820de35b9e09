// All of detrt for C++; see docs/cpp.md.
#pragma once

#include "detrt/build.hpp"
#include "detrt/contract.hpp"
#include "detrt/detections.hpp"
#include "detrt/detector.hpp"
#include "detrt/error.hpp"
#include "detrt/images.hpp"
#include "detrt/manifest.hpp"

namespace detrt {

// Of this library, `0.1.0`.
const char* version();

}  // namespace detrt
