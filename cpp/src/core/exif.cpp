#include "core/exif.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

namespace detrt {
namespace {

constexpr std::string_view kMarker("Exif\0\0", 6);
constexpr int kOrientation = 0x0112;
constexpr int kShort = 3;

// The TIFF file that lies in a JPEG: numbers in the byte order that its first letters say.
class Tiff {
  public:
    explicit Tiff(std::string_view data) : data_(data), little_(data.substr(0, 2) == "II") {}

    // `count` bytes at `at`; 0 beyond the end.
    std::uint32_t number(std::size_t at, int count) const {
        std::uint32_t value = 0;
        for (int i = 0; i < count; ++i) {
            const std::size_t place = at + static_cast<std::size_t>(little_ ? count - 1 - i : i);
            value = value << 8 | (place < data_.size() ? static_cast<std::uint8_t>(data_[place]) : 0);
        }
        return value;
    }

  private:
    std::string_view data_;
    bool little_;
};

}  // namespace

int orientation_of(const Bytes& jpeg) {
    const std::string_view start(reinterpret_cast<const char*>(jpeg.data()), std::min<std::size_t>(jpeg.size(), 65536));
    const auto marker = start.find(kMarker);
    if (marker == start.npos) return 1;
    const Tiff tiff(start.substr(marker + kMarker.size()));
    const std::size_t directory = tiff.number(4, 4);
    const auto entries = tiff.number(directory, 2);
    for (std::size_t i = 0; i < entries; ++i) {
        const std::size_t entry = directory + 2 + 12 * i;
        if (tiff.number(entry, 2) != kOrientation || tiff.number(entry + 2, 2) != kShort) continue;
        const auto value = tiff.number(entry + 8, 2);
        return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
    return 1;
}

Pixels turned(const Pixels& photo, int orientation) {
    if (orientation == 1) return photo;
    // Orientation 5 to 8 swap the axes first; then some are mirrored (EXIF 2.32, 4.6.5.1 Orientation).
    const bool swapped = orientation >= 5;
    const bool flip_x = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
    const bool flip_y = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
    Pixels made(swapped ? Size{photo.size.width, photo.size.height} : photo.size);
    const auto [height, width] = made.size;
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            int from_x = flip_x ? width - 1 - x : x, from_y = flip_y ? height - 1 - y : y;
            if (swapped) std::swap(from_x, from_y);
            const auto* from = &photo.data[(std::size_t(from_y) * photo.size.width + from_x) * 3];
            std::copy_n(from, 3, &made.data[(std::size_t(y) * width + x) * 3]);
        }
    return made;
}

}  // namespace detrt
