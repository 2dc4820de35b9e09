// Results as JSON, in the words of `detrt predict --json` and of COCO.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "detrt/contract.hpp"
#include "detrt/detections.hpp"

namespace detrt {

// A line: the image's name, width, height and detections.
std::string json_line(const std::string& image, Size size, const Detections& found, const ModelContract& contract);

// A line: the image's name and why it has no detections.
std::string json_error_line(const std::string& image, const std::string& error);

// A COCO set's photos and categories, to write results in its ids.
class CocoIds {
  public:
    // Reads an annotation file; a DatasetError where it is none, or has not the model's classes.
    CocoIds(const std::filesystem::path& annotations, const ModelContract& contract);

    // Adds the rows of a photo; a DatasetError where the set has no photo of that name.
    void add(const std::filesystem::path& photo, const Detections& found);

    // Writes all rows as COCO's result file, whole or not at all.
    void save(const std::filesystem::path& path) const;

  private:
    std::map<std::string, std::int64_t> image_ids_;
    std::vector<std::int64_t> category_ids_;  // by label; -1 where the set does not have the class
    std::vector<std::string> rows_;
    std::filesystem::path annotations_;
};

}  // namespace detrt
