#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string_view>

#include "core/other_formats.hpp"
#include "detrt/error.hpp"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_JPEG
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_NO_PSD
#define STBI_NO_PIC
#define STBI_NO_PNM
#define STBI_NO_TGA
#include <stb/stb_image.h>

namespace detrt {
namespace {

// Formats that Python reads and stb does not.
void refuse_foreign(std::string_view data) {
    const bool webp = data.substr(0, 4) == "RIFF" && data.substr(8, 4) == "WEBP";
    const bool tiff =
        data.substr(0, 4) == std::string_view("II*\0", 4) || data.substr(0, 4) == std::string_view("MM\0*", 4);
    if (webp || tiff)
        throw std::runtime_error(std::string(webp ? "WebP" : "TIFF") +
                                 " is read only by a detrt that is built with OpenCV");
}

}  // namespace

std::optional<Pixels> decode_other_format(const Bytes& data, const std::string& name) {
    refuse_foreign({reinterpret_cast<const char*>(data.data()), data.size()});
    Size size;
    int channels = 0;
    const int length = static_cast<int>(data.size());
    if (!stbi_info_from_memory(data.data(), length, &size.width, &size.height, &channels)) return std::nullopt;
    // of a bitmap that is stored from its top, the height is below 0
    size.height = std::abs(std::max(size.height, -std::numeric_limits<int>::max()));
    if (size.height == 0 || size.width == 0) return std::nullopt;
    refuse_bomb(size, name);
    const std::unique_ptr<stbi_uc, void (*)(void*)> decoded(
        stbi_load_from_memory(data.data(), length, &size.width, &size.height, &channels, 3), stbi_image_free);
    if (!decoded) throw std::runtime_error(stbi_failure_reason());
    Pixels pixels(size);
    std::memcpy(pixels.data.data(), decoded.get(), pixels.data.size());
    return pixels;
}

}  // namespace detrt
