// From a model's output tensors to detections in the pixels of each photo.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "detrt/contract.hpp"
#include "detrt/detections.hpp"
#include "detrt/images.hpp"

namespace detrt {

// A tensor in host memory that somebody else owns. dtype: float32, float16, bfloat16, int64 or int32.
struct HostTensor {
    const void* data;
    std::vector<std::int64_t> shape;
    std::string dtype;
};

// Detections of every photo of a batch, best first, unclipped as the model gave them; rows of the tensors beyond the
// placements (padding of a fixed batch) are ignored. `rows` says which row each placement has; by default in order.
std::vector<Detections> decode(const ModelContract& contract, const std::map<std::string, HostTensor>& outputs,
                               const std::vector<Placement>& placements, const std::vector<int>& rows = {});

// What `orig_target_sizes` takes of a photo: width and height of the input's extent in photo pixels, in whole ones.
std::array<std::int64_t, 2> size_to_feed(const Placement& placement);

}  // namespace detrt
