// JPEGs decoded by nvJPEG, where detrt is built with it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "detrt/images.hpp"

namespace detrt {

// Whether this library has nvJPEG.
bool has_gpu_jpeg();

// Decodes into (height, width, 3) device memory, and waits; false where nvJPEG cannot. Each thread has a decoder of its
// own.
bool decode_jpeg_on_gpu(const Bytes& data, Size size, std::uint8_t* into, cudaStream_t stream);

}  // namespace detrt
