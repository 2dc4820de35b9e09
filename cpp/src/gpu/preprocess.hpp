// The network's input from photos in device memory: one launch of the kernel that Python uses, for a batch of any
// sizes.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "detrt/contract.hpp"
#include "detrt/images.hpp"

namespace detrt {

constexpr std::size_t kRecordBytes = 40;  // what the kernel reads of each photo

// Whether the kernel, which counts in 32 bits, can count that far: all but absurdly long strips.
bool fits_kernel(const Placement& placement);

// Writes the kernel's record of a photo whose interleaved RGB lies at `pixels` on the device; nullptr leaves it blank.
void write_record(void* record, const std::uint8_t* pixels, const Placement& placement);

// Enqueues: `records` are on the device, `input` is (count, 3, height, width) in `dtype`, float32 or float16.
void enqueue_preprocessing(const void* records, int count, void* input, const std::string& dtype,
                           const ModelContract& contract, cudaStream_t stream);

}  // namespace detrt
