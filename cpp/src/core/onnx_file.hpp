// What detrt needs to know of an ONNX file before TensorRT parses it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "detrt/contract.hpp"

namespace detrt {

struct OnnxFile {
    Metadata metadata;                        // `metadata_props`, with the contract in it
    std::vector<TensorSpec> inputs, outputs;  // initialisers that are also listed as inputs are left out
};

// Reads the serialised model; a std::runtime_error where it is not a whole ONNX file.
OnnxFile onnx_file_from(std::string_view serialized);

// The model with the open axes of its inputs set to the batch: TensorRT tunes and specialises static shapes better.
std::string with_batch(const std::string& serialized, std::int64_t batch);

}  // namespace detrt
