// JPEGs decoded by the GPU's own decoder chip, through nvJPEG, where detrt is built with it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "detrt/images.hpp"

namespace detrt {

// A file in pinned memory, which nobody changes until its pixels are there: (height, width, 3) in device memory.
struct JpegOnItsWay {
    const std::uint8_t* file;
    std::size_t bytes;
    Size size;
    std::uint8_t* into;
};

// The pixels are libjpeg-turbo's, bit for bit.
class JpegDecoder {
  public:
    // On the GPU that the calling thread uses; none where it has no chip, or detrt is built without nvJPEG.
    static std::unique_ptr<JpegDecoder> on_this_gpu();
    ~JpegDecoder();

    // Whether the chip decodes a file, and to that size; any thread may ask.
    bool takes(const Bytes& file, Size size) const;

    // Enqueues the decoding of a group; false where the chip refuses one of them, whichever. The group before must be
    // there. All decoders of a process take turns: the chip serves callers that come at once in turns, and all late.
    bool decode(const std::vector<JpegOnItsWay>& group, cudaStream_t stream);

  private:
    struct Native;

    explicit JpegDecoder(std::unique_ptr<Native> native);
    std::unique_ptr<Native> native_;
};

}  // namespace detrt
