#include "core/exif.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace detrt {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kExif = "Exif\0\0"sv, kPng = "\x89PNG\r\n\x1a\n"sv;
constexpr int kApp1 = 0xe1, kScan = 0xda;
constexpr int kOrientation = 0x0112;

bool starts(std::string_view text, std::string_view start) { return text.substr(0, start.size()) == start; }

// `count` bytes at `at` as a number; 0 beyond the end.
std::uint32_t number(std::string_view data, std::size_t at, int count, bool little = false) {
    std::uint32_t value = 0;
    for (int i = 0; i < count; ++i) {
        const std::size_t place = at + static_cast<std::size_t>(little ? count - 1 - i : i);
        value = value << 8 | (place < data.size() ? static_cast<std::uint8_t>(data[place]) : 0);
    }
    return value;
}

// What the EXIF segments of a JPEG hold, one behind the other. Junk may stand between segments (ITU-T T.81, B.1.1).
std::string exif_of_jpeg(std::string_view file) {
    std::string found;
    for (std::size_t at = 2; at + 4 <= file.size();) {
        const auto marker = number(file, at + 1, 1);
        const bool alone = marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd9);  // without a segment
        if (number(file, at, 1) != 0xff || marker == 0xff) {
            ++at;
        } else if (alone) {
            at += 2;
        } else {
            const auto length = number(file, at + 2, 2);
            const auto segment = file.substr(at + 4, length < 2 ? 0 : length - 2);
            if (marker == kScan) break;
            if (marker == kApp1 && starts(segment, kExif)) found += segment.substr(kExif.size());
            at += 2 + length;
        }
    }
    return found;
}

// What the last `eXIf` of a PNG's chunks holds (PNG, third edition, 5.3 and 11.3.3.7).
std::string exif_of_png(std::string_view file) {
    std::string_view found;
    for (std::size_t at = kPng.size(); at + 12 <= file.size();) {
        const std::size_t length = number(file, at, 4);
        if (file.substr(at + 4, 4) == "eXIf") found = file.substr(at + 8, length);
        at += 12 + length;
    }
    return std::string(found);
}

// The tag of a TIFF file, whose first letters say in which order its numbers' bytes are (TIFF 6.0, section 2).
int orientation_in(std::string_view tiff) {
    const auto head = tiff.substr(0, 4);
    const bool little = starts(head, "II");
    if (head != "II*\0"sv && head != "MM\0*"sv && head != "II\0*"sv && head != "MM*\0"sv) return 1;
    const std::size_t directory = number(tiff, 4, 4, little);
    const auto entries = number(tiff, directory, 2, little);
    for (std::size_t i = 0, entry = directory + 2; i < entries && entry + 12 <= tiff.size(); ++i, entry += 12) {
        if (number(tiff, entry, 2, little) != kOrientation) continue;
        const auto type = number(tiff, entry + 2, 2, little), count = number(tiff, entry + 4, 4, little);
        const int width = type == 6 ? 1 : type == 3 || type == 8 ? 2 : type == 4 || type == 9 ? 4 : 0;  // whole numbers
        if (width == 0 || count == 0) continue;
        const bool here = std::uint64_t(count) * std::uint64_t(width) <= 4;
        const auto value = number(tiff, here ? entry + 8 : number(tiff, entry + 8, 4, little), width, little);
        return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
    return 1;
}

}  // namespace

int orientation_of(const Bytes& file) {
    const std::string_view data(reinterpret_cast<const char*>(file.data()), file.size());
    const auto exif = starts(data, "\xff\xd8"sv) ? exif_of_jpeg(data) : starts(data, kPng) ? exif_of_png(data) : "";
    return orientation_in(starts(exif, kExif) ? std::string_view(exif).substr(kExif.size()) : exif);
}

Pixels turned(Pixels photo, int orientation) {
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
