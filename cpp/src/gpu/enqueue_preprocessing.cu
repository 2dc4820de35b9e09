#include "kernels/preprocess.cu"  // of src/detrt: the very source that Python compiles

#include "detrt/error.hpp"
#include "gpu/cuda.hpp"
#include "gpu/preprocess.hpp"

namespace detrt {

static_assert(sizeof(Photo) == kRecordBytes, "the kernel's record has changed");

bool fits_kernel(const Placement& placement) {
    constexpr std::int64_t kMost = 1 << 30;
    return std::int64_t(placement.photo.height) * placement.size.height < kMost &&
           std::int64_t(placement.photo.width) * placement.size.width < kMost;
}

void write_record(void* record, const std::uint8_t* pixels, const Placement& placement) {
    auto& photo = *static_cast<Photo*>(record);
    photo = Photo{};
    if (pixels == nullptr) return;
    photo = {pixels,
             3 * placement.photo.width,
             placement.photo.height,
             placement.photo.width,
             placement.top,
             placement.left,
             placement.size.height,
             placement.size.width,
             0};
}

void enqueue_preprocessing(const void* records, int count, void* input, const std::string& dtype,
                           const ModelContract& contract, cudaStream_t stream) {
    Rule rule{};
    for (int channel = 0; channel < 3; ++channel) {
        rule.factor[channel] = static_cast<float>(contract.scale / contract.deviation[channel]);
        rule.shift[channel] = static_cast<float>(-contract.mean[channel] / contract.deviation[channel]);
    }
    rule.reversed = contract.bgr;
    rule.antialias = contract.resize.antialias;
    rule.pad = contract.resize.pad;
    const auto [height, width] = contract.input_size;
    const dim3 block(kTileWidth, kTileHeight);
    const dim3 grid((width + kTileWidth - 1) / kTileWidth, (height + kTileHeight - 1) / kTileHeight, count);
    const auto* photos = static_cast<const Photo*>(records);
    if (dtype == "float32")
        detrt_preprocess_float32<<<grid, block, 0, stream>>>(photos, static_cast<float*>(input), height, width, rule);
    else if (dtype == "float16")
        detrt_preprocess_float16<<<grid, block, 0, stream>>>(photos, static_cast<unsigned short*>(input), height, width,
                                                             rule);
    else
        throw ModelError("The network's input is " + dtype + ".", "The GPU preprocessing makes float32 and float16.");
    check(cudaGetLastError(), "detrt_preprocess");
}

}  // namespace detrt
