// What detrt uses of nvJPEG, on the CPU: a decoder chip that, as NVIDIA's, does not see where a file's data end.
#pragma once

#include <cstddef>

#include "cuda_runtime_api.h"

enum nvjpegStatus_t { NVJPEG_STATUS_SUCCESS = 0, NVJPEG_STATUS_BAD_JPEG = 3 };
enum nvjpegBackend_t { NVJPEG_BACKEND_HARDWARE = 3 };
enum nvjpegOutputFormat_t { NVJPEG_OUTPUT_RGBI = 5 };
constexpr unsigned NVJPEG_FLAGS_BITSTREAM_STRICT = 1 << 2, NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION = 1 << 5;

struct nvjpegHandle;
struct nvjpegJpegState;
struct nvjpegJpegStream;
using nvjpegHandle_t = nvjpegHandle*;
using nvjpegJpegState_t = nvjpegJpegState*;
using nvjpegJpegStream_t = nvjpegJpegStream*;

struct nvjpegImage_t {
    unsigned char* channel[4];
    std::size_t pitch[4];
};

nvjpegStatus_t nvjpegCreateEx(nvjpegBackend_t, void*, void*, unsigned flags, nvjpegHandle_t* handle);
nvjpegStatus_t nvjpegDestroy(nvjpegHandle_t handle);
nvjpegStatus_t nvjpegJpegStateCreate(nvjpegHandle_t handle, nvjpegJpegState_t* state);
nvjpegStatus_t nvjpegJpegStateDestroy(nvjpegJpegState_t state);
nvjpegStatus_t nvjpegJpegStreamCreate(nvjpegHandle_t handle, nvjpegJpegStream_t* header);
nvjpegStatus_t nvjpegJpegStreamDestroy(nvjpegJpegStream_t header);
nvjpegStatus_t nvjpegJpegStreamParseHeader(nvjpegHandle_t handle, const unsigned char* data, std::size_t length,
                                           nvjpegJpegStream_t header);
nvjpegStatus_t nvjpegJpegStreamGetFrameDimensions(nvjpegJpegStream_t header, unsigned* width, unsigned* height);
nvjpegStatus_t nvjpegDecodeBatchedSupported(nvjpegHandle_t handle, nvjpegJpegStream_t header, int* cannot);
nvjpegStatus_t nvjpegDecodeBatchedInitialize(nvjpegHandle_t handle, nvjpegJpegState_t state, int count, int threads,
                                             nvjpegOutputFormat_t format);
nvjpegStatus_t nvjpegDecodeBatched(nvjpegHandle_t handle, nvjpegJpegState_t state, const unsigned char* const* data,
                                   const std::size_t* lengths, nvjpegImage_t* images, cudaStream_t stream);

namespace standin {

// What the chip has met with since the process began.
struct Chip {
    int photos = 0;        // decoded
    int groups = 0;        // of which it was called
    bool crowded = false;  // called by two threads at once, or before a state's last group was there
};
Chip chip();

}  // namespace standin
