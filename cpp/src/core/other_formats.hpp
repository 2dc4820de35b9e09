// Photos that are no JPEG.
#pragma once

#include <optional>
#include <string>

#include "detrt/images.hpp"

namespace detrt {

// PNG, BMP and GIF, and what OpenCV reads where detrt is built with it; none where the format is not known.
// A std::runtime_error where the file is damaged; an ImageError, which calls it `name`, where the photo is too large.
std::optional<Pixels> decode_other_format(const Bytes& data, const std::string& name);

// An ImageError where a photo of that size is larger than detrt, and Pillow, decode.
void refuse_bomb(Size size, const std::string& name);

}  // namespace detrt
