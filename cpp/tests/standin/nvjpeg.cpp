#include "nvjpeg.h"

#include <turbojpeg.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string_view>
#include <vector>

struct nvjpegHandle {};

struct nvjpegJpegState {
    int ready_for = 0;
    std::atomic<bool> busy{false};
};

struct nvjpegJpegStream {
    int width = 0, height = 0;
};

namespace {

std::atomic<int> photos, groups, callers;
std::atomic<bool> crowded;

struct Destroy {
    void operator()(void* codec) const { tjDestroy(codec); }
};

// Says nothing of damage; and where data end early, draws what lies in memory behind them.
void decode(const unsigned char* data, std::size_t length, const nvjpegImage_t& image) {
    const std::unique_ptr<void, Destroy> codec(tjInitDecompress());
    int width = 0, height = 0, subsampling = 0, color = 0;
    tjDecompressHeader3(codec.get(), data, length, &width, &height, &subsampling, &color);
    const int pitch = static_cast<int>(image.pitch[0]);
    tjDecompress2(codec.get(), data, length, image.channel[0], width, pitch, height, TJPF_RGB, TJFLAG_ACCURATEDCT);
    const std::string_view said(tjGetErrorStr2(codec.get()));
    if (said.find("remature end") == said.npos) return;
    for (int i = pitch * (height - 1); i < pitch * height; ++i) image.channel[0][i] = static_cast<unsigned char>(i);
}

}  // namespace

standin::Chip standin::chip() { return {photos, groups, crowded}; }

nvjpegStatus_t nvjpegCreateEx(nvjpegBackend_t, void*, void*, unsigned, nvjpegHandle_t* handle) {
    *handle = new nvjpegHandle;
    return NVJPEG_STATUS_SUCCESS;
}

nvjpegStatus_t nvjpegDestroy(nvjpegHandle_t handle) {
    delete handle;
    return NVJPEG_STATUS_SUCCESS;
}

nvjpegStatus_t nvjpegJpegStateCreate(nvjpegHandle_t, nvjpegJpegState_t* state) {
    *state = new nvjpegJpegState;
    return NVJPEG_STATUS_SUCCESS;
}

nvjpegStatus_t nvjpegJpegStateDestroy(nvjpegJpegState_t state) {
    if (state->busy) crowded = true;
    delete state;
    return NVJPEG_STATUS_SUCCESS;
}

nvjpegStatus_t nvjpegJpegStreamCreate(nvjpegHandle_t, nvjpegJpegStream_t* header) {
    *header = new nvjpegJpegStream;
    return NVJPEG_STATUS_SUCCESS;
}

nvjpegStatus_t nvjpegJpegStreamDestroy(nvjpegJpegStream_t header) {
    delete header;
    return NVJPEG_STATUS_SUCCESS;
}

nvjpegStatus_t nvjpegJpegStreamParseHeader(nvjpegHandle_t, const unsigned char* data, std::size_t length,
                                           nvjpegJpegStream_t header) {
    const std::unique_ptr<void, Destroy> codec(tjInitDecompress());
    int subsampling = 0, color = 0;
    const bool read =
        tjDecompressHeader3(codec.get(), data, length, &header->width, &header->height, &subsampling, &color) == 0;
    return read ? NVJPEG_STATUS_SUCCESS : NVJPEG_STATUS_BAD_JPEG;
}

nvjpegStatus_t nvjpegJpegStreamGetFrameDimensions(nvjpegJpegStream_t header, unsigned* width, unsigned* height) {
    *width = static_cast<unsigned>(header->width);
    *height = static_cast<unsigned>(header->height);
    return NVJPEG_STATUS_SUCCESS;
}

nvjpegStatus_t nvjpegDecodeBatchedSupported(nvjpegHandle_t, nvjpegJpegStream_t, int* cannot) {
    *cannot = 0;
    return NVJPEG_STATUS_SUCCESS;
}

nvjpegStatus_t nvjpegDecodeBatchedInitialize(nvjpegHandle_t, nvjpegJpegState_t state, int count, int,
                                             nvjpegOutputFormat_t) {
    state->ready_for = count;
    return NVJPEG_STATUS_SUCCESS;
}

nvjpegStatus_t nvjpegDecodeBatched(nvjpegHandle_t, nvjpegJpegState_t state, const unsigned char* const* data,
                                   const std::size_t* lengths, nvjpegImage_t* images, cudaStream_t stream) {
    if (callers++ > 0 || state->busy.exchange(true)) crowded = true;
    const auto count = std::size_t(state->ready_for);
    const std::vector<const unsigned char*> files(data, data + count);
    const std::vector<std::size_t> sizes(lengths, lengths + count);
    const std::vector<nvjpegImage_t> places(images, images + count);
    // A comment that the chip, so the tests say, cannot stand.
    const bool refused = std::any_of(files.begin(), files.end(), [&](const auto& file) {
        const std::string_view text(reinterpret_cast<const char*>(file), sizes[std::size_t(&file - files.data())]);
        return text.find("no chip") != text.npos;
    });
    if (refused) {
        state->busy = false;
    } else {
        standin::enqueue(stream, [=] {
            for (std::size_t i = 0; i < count; ++i) decode(files[i], sizes[i], places[i]);
            state->busy = false;
        });
        photos += state->ready_for;
        ++groups;
    }
    --callers;
    return refused ? NVJPEG_STATUS_BAD_JPEG : NVJPEG_STATUS_SUCCESS;
}
