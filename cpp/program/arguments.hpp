// What detrt-run is told.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace detrt::program {

struct Arguments {
    std::vector<std::string> sources;
    std::filesystem::path engine, onnx, keep;
    int device = 0;
    bool no_graph = false, gpu_decode = false, force = false;
    std::vector<int> batch{1};

    double threshold = 0.4;
    std::filesystem::path json, save, coco_results, annotations;

    bool bench = false;
    std::vector<std::string> protocols{"engine"};
    std::vector<int> streams{1};
    double seconds = 5;

    std::vector<std::string> command;  // the words as they were given
};

// Reads the command line; none where the program has nothing more to do (--help, --version). A UsageError says what
// makes no sense.
std::optional<Arguments> arguments_from(const std::vector<std::string>& words);

}  // namespace detrt::program
