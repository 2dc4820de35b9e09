#include "gpu/jpeg.hpp"

namespace detrt {

bool has_gpu_jpeg() { return false; }

bool decode_jpeg_on_gpu(const Bytes&, Size, std::uint8_t*, cudaStream_t) { return false; }

}  // namespace detrt
