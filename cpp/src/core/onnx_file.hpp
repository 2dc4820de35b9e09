// What detrt needs to know of an ONNX file before TensorRT parses it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "detrt/contract.hpp"

namespace detrt {

struct OnnxFile {
    Metadata metadata;                        // `metadata_props`, with the contract in it
    std::vector<TensorSpec> inputs, outputs;  // initialisers that are also listed as inputs are left out
    std::set<std::string> weights;            // the files beside it that hold weights
};

// Reads the serialised model; a std::runtime_error where it is not a whole ONNX file.
OnnxFile onnx_file_from(std::string_view serialized);

// Hash of the serialised model at `path`, and of the files that hold its weights; which of them are missing is told by
// who loads it.
std::string sha256_of_model(const std::filesystem::path& path, std::string_view serialized, const OnnxFile& file);

// The model with the open axes of its inputs set to the batch: TensorRT tunes and specialises static shapes better.
std::string with_batch(const std::string& serialized, std::int64_t batch);

}  // namespace detrt
