#include "core/jpeg_header.hpp"

#include <algorithm>
#include <string_view>

namespace detrt {
namespace {

enum Marker : int { kTables = 0xc4, kJpg = 0xc8, kArithmetic = 0xcc, kScan = 0xda, kRestarts = 0xdd, kApp2 = 0xe2 };

constexpr std::string_view kPictures("MPF\0", 4);

// SOF0 to SOF15; DHT, JPG and DAC lie between them.
bool is_frame(int marker) {
    return marker >= 0xc0 && marker <= 0xcf && marker != kTables && marker != kJpg && marker != kArithmetic;
}

// All that may stand in a header; RST0 to RST7, SOI and EOI may not.
bool has_length(int marker) { return marker >= 0xc0 && marker <= 0xfe && (marker < 0xd0 || marker > 0xd9); }

bool says(const Bytes& file, std::size_t at, std::string_view what) {
    return at + what.size() <= file.size() &&
           std::equal(what.begin(), what.end(), file.begin() + std::ptrdiff_t(at),
                      [](char letter, std::uint8_t byte) { return static_cast<std::uint8_t>(letter) == byte; });
}

}  // namespace

std::optional<JpegHeader> jpeg_header_of(const Bytes& file) {
    const auto number = [&](std::size_t place) { return file[place] << 8 | file[place + 1]; };
    JpegHeader header;
    std::size_t at = 2;
    while (at + 4 <= file.size() && file[at] == 0xff) {
        const int marker = file[at + 1];
        if (marker == 0xff) {  // fill bytes may stand before any marker
            ++at;
            continue;
        }
        if (marker == kScan) {
            header.scan = at + 2;
            const bool known = header.frame && header.frame <= at && header.size.height && header.size.width;
            return known ? std::optional(header) : std::nullopt;
        }
        if (!has_length(marker) || (is_frame(marker) && header.frame)) return std::nullopt;
        if (is_frame(marker)) {
            header.frame = at + 10;  // behind the segment's length, precision, height, width, and how many follow
            if (header.frame > file.size()) return std::nullopt;
            header.sequential = file[at + 4] == 8 && marker <= 0xc1;
            header.size = {number(at + 5), number(at + 7)};
            header.components = file[at + 9];
        }
        if (marker == kTables) header.tables.push_back(at + 2);
        if (marker == kRestarts) header.restarts = true;
        if (marker == kApp2 && says(file, at + 4, kPictures)) header.pictures = true;
        at += 2 + static_cast<std::size_t>(number(at + 2));
    }
    return std::nullopt;
}

}  // namespace detrt
