#include <nvjpeg.h>

#include <mutex>

#include "gpu/jpeg.hpp"

namespace detrt {

struct DestroyNvjpeg {
    void operator()(nvjpegHandle_t handle) const noexcept { nvjpegDestroy(handle); }
    void operator()(nvjpegJpegState_t state) const noexcept { nvjpegJpegStateDestroy(state); }
    void operator()(nvjpegJpegStream_t header) const noexcept { nvjpegJpegStreamDestroy(header); }
};

template <typename Thing>
using Nvjpeg = std::unique_ptr<Thing, DestroyNvjpeg>;

namespace {

constexpr unsigned kFlags =  // chroma is interpolated, as libjpeg-turbo does
    NVJPEG_FLAGS_BITSTREAM_STRICT | NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION;

std::mutex the_chip;

bool done(nvjpegStatus_t status) { return status == NVJPEG_STATUS_SUCCESS; }

Nvjpeg<nvjpegHandle> new_handle() {
    nvjpegHandle_t handle = nullptr;
    const auto status = nvjpegCreateEx(NVJPEG_BACKEND_HARDWARE, nullptr, nullptr, kFlags, &handle);
    return Nvjpeg<nvjpegHandle>(done(status) ? handle : nullptr);
}

Nvjpeg<nvjpegJpegState> new_state(nvjpegHandle_t handle) {
    nvjpegJpegState_t state = nullptr;
    return Nvjpeg<nvjpegJpegState>(handle && done(nvjpegJpegStateCreate(handle, &state)) ? state : nullptr);
}

Nvjpeg<nvjpegJpegStream> new_header(nvjpegHandle_t handle) {
    nvjpegJpegStream_t header = nullptr;
    return Nvjpeg<nvjpegJpegStream>(done(nvjpegJpegStreamCreate(handle, &header)) ? header : nullptr);
}

}  // namespace

struct JpegDecoder::Native {
    Nvjpeg<nvjpegHandle> handle = new_handle();
    Nvjpeg<nvjpegJpegState> state = new_state(handle.get());
    std::size_t count = 0;  // files of the groups that the state is ready for
    std::vector<const unsigned char*> files;
    std::vector<std::size_t> lengths;
    std::vector<nvjpegImage_t> images;

    bool prepare(std::size_t wanted) {
        if (count != wanted)
            count = done(nvjpegDecodeBatchedInitialize(handle.get(), state.get(), static_cast<int>(wanted), 1,
                                                       NVJPEG_OUTPUT_RGBI))
                        ? wanted
                        : 0;
        return count == wanted;
    }
};

std::unique_ptr<JpegDecoder> JpegDecoder::on_this_gpu() {
    auto native = std::make_unique<Native>();
    if (!native->state) return nullptr;
    return std::unique_ptr<JpegDecoder>(new JpegDecoder(std::move(native)));
}

JpegDecoder::JpegDecoder(std::unique_ptr<Native> native) : native_(std::move(native)) {}
JpegDecoder::~JpegDecoder() = default;

// As nvJPEG reads the file: another's reading of a crafted one might give it too little memory.
bool JpegDecoder::takes(const Bytes& file, Size size) const {
    const auto handle = native_->handle.get();
    const auto header = new_header(handle);
    int cannot = 1;  // nvJPEG says 0 for yes
    unsigned width = 0, height = 0;
    return header && done(nvjpegJpegStreamParseHeader(handle, file.data(), file.size(), header.get())) &&
           done(nvjpegDecodeBatchedSupported(handle, header.get(), &cannot)) && cannot == 0 &&
           done(nvjpegJpegStreamGetFrameDimensions(header.get(), &width, &height)) &&
           size == Size{static_cast<int>(height), static_cast<int>(width)};
}

bool JpegDecoder::decode(const std::vector<JpegOnItsWay>& group, cudaStream_t stream) {
    auto& [handle, state, count, files, lengths, images] = *native_;
    files.clear(), lengths.clear(), images.clear();
    for (const auto& one : group) {
        files.push_back(one.file);
        lengths.push_back(one.bytes);
        images.push_back({});
        images.back().channel[0] = one.into;
        images.back().pitch[0] = 3 * static_cast<std::size_t>(one.size.width);
    }
    const std::lock_guard held(the_chip);
    const bool taken =
        native_->prepare(group.size()) &&
        done(nvjpegDecodeBatched(handle.get(), state.get(), files.data(), lengths.data(), images.data(), stream));
    if (!taken) count = 0;  // a state that failed has to begin anew
    return taken;
}

}  // namespace detrt
