#include <nvjpeg.h>

#include <memory>

#include "gpu/jpeg.hpp"

namespace detrt {
namespace {

struct DestroyHandle {
    void operator()(nvjpegHandle* handle) const { nvjpegDestroy(handle); }
};
struct DestroyState {
    void operator()(nvjpegJpegState* state) const { nvjpegJpegStateDestroy(state); }
};

// Entropy decoding by the calling thread, the rest by the GPU; chroma interpolated, as libjpeg-turbo does.
nvjpegHandle* handle() {
    static const std::unique_ptr<nvjpegHandle, DestroyHandle> made([] {
        nvjpegHandle_t handle = nullptr;
        nvjpegCreateEx(NVJPEG_BACKEND_DEFAULT, nullptr, nullptr, NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION, &handle);
        return handle;
    }());
    return made.get();
}

nvjpegJpegState* state() {
    thread_local const std::unique_ptr<nvjpegJpegState, DestroyState> made([] {
        nvjpegJpegState_t state = nullptr;
        if (handle()) nvjpegJpegStateCreate(handle(), &state);
        return state;
    }());
    return made.get();
}

}  // namespace

bool has_gpu_jpeg() { return true; }

bool decode_jpeg_on_gpu(const Bytes& data, Size size, std::uint8_t* into, cudaStream_t stream) {
    if (!state()) return false;
    nvjpegImage_t image{};
    image.channel[0] = into;
    image.pitch[0] = 3 * static_cast<unsigned>(size.width);
    const auto status = nvjpegDecode(handle(), state(), data.data(), data.size(), NVJPEG_OUTPUT_RGBI, &image, stream);
    const bool done = cudaStreamSynchronize(stream) == cudaSuccess;  // before the state's buffers are used again
    return status == NVJPEG_STATUS_SUCCESS && done;
}

}  // namespace detrt
