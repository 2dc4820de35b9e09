// What a JPEG file says before its picture begins (ITU-T T.81, annex B).
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "detrt/images.hpp"

namespace detrt {

// What comes before the first scan.
struct JpegHeader {
    Size size;
    std::size_t components = 0;
    bool sequential = false;          // 8 bits a sample, stored line by line: what decoder chips take
    bool restarts = false;            // its data may begin anew every so often
    bool pictures = false;            // more of them may follow this one in the same file (CIPA DC-007)
    std::size_t frame = 0;            // where the frame's components begin, three bytes each
    std::vector<std::size_t> tables;  // where the segments of Huffman tables begin, at their lengths
    std::size_t scan = 0;             // where the segment of the first scan begins, at its length
};

// The header of a JPEG file; none where it is damaged, cut off, or odder than usual.
std::optional<JpegHeader> jpeg_header_of(const Bytes& file);

}  // namespace detrt
