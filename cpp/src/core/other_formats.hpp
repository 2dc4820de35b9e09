// Photos that are no plain JPEG.
#pragma once

#include <optional>

#include "detrt/images.hpp"

namespace detrt {

// PNG, BMP, GIF and CMYK JPEGs, and what OpenCV reads where detrt is built with it; none where the format is not known.
// A std::runtime_error where the file is damaged.
std::optional<Pixels> decode_other_format(const Bytes& data);

}  // namespace detrt
