// Where a decoder chip that runs beyond the end of a damaged file's data comes to rest.
//
// NVIDIA's JPEG chip does not see where a picture's data end: in a file that was cut off in the middle, but for its end
// marker, it reads on into whatever lies in memory behind, and calls that a success. So data are put in there which an
// intact file's decoder has no need to read, and which are of one colour: first some MCUs of long, different blocks,
// which bring the chip into step, then as many plain ones as the picture has (src/detrt/images/gpu/run_out.py says
// more, and makes the same bytes).
#pragma once

#include <optional>

#include "core/jpeg_header.hpp"

namespace detrt {

// What stands in a file between its picture's data and what follows them, from its end marker on.
struct RunOut {
    std::size_t end, rest;  // where the data end, and where the end marker stands; fill bytes between them are left out
    Bytes data;

    // Of the file together with it.
    std::size_t bytes(const Bytes& file) const { return end + data.size() + file.size() - rest; }
    void write(const Bytes& file, std::uint8_t* into) const;
};

// The run-out of a file that a decoder chip can be trusted with: if its data end early, the last 32 pixels are all
// alike, unless less than 21 MCUs are missing. None where there is no such file: it has no end marker, holes in
// its data, more than one sequential scan, restarts, or tables that lack the codes.
std::optional<RunOut> run_out_of(const Bytes& file, const JpegHeader& header);

}  // namespace detrt
