#include "gpu/jpeg.hpp"

namespace detrt {

struct JpegDecoder::Native {};

std::unique_ptr<JpegDecoder> JpegDecoder::on_this_gpu() { return nullptr; }

JpegDecoder::JpegDecoder(std::unique_ptr<Native> native) : native_(std::move(native)) {}
JpegDecoder::~JpegDecoder() = default;

bool JpegDecoder::takes(const Bytes&, Size) const { return false; }

bool JpegDecoder::decode(const std::vector<JpegOnItsWay>&, cudaStream_t) { return false; }

}  // namespace detrt
