// How a photo was held: its EXIF orientation.
#pragma once

#include "detrt/images.hpp"

namespace detrt {

// 1 (upright) to 8, as the tag 0x0112 of a JPEG or PNG says; 1 where it says nothing that can be read.
int orientation_of(const Bytes& file);

// The photo upright.
Pixels turned(Pixels photo, int orientation);

}  // namespace detrt
