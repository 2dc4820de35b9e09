// Where outcomes go: a line of JSON an image, annotated pictures, COCO's result file.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "arguments.hpp"
#include "detrt/detector.hpp"

namespace detrt::program {

// Takes every outcome as soon as it is there, so that an interrupt loses nothing.
class Sink {
  public:
    virtual ~Sink() = default;
    virtual void add(const Outcome& outcome) = 0;
    virtual void end() {}
};

// Refuse to write over anything that is read, before it is.
void keep_originals(const std::vector<std::filesystem::path>& photos, const Arguments& asked);

// Those that are asked for, opened: a UsageError where one cannot be written.
std::vector<std::unique_ptr<Sink>> sinks_for(const Arguments& asked, const ModelContract& contract);

}  // namespace detrt::program
