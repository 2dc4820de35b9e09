#include "core/results.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/files.hpp"
#include "core/text.hpp"
#include "detrt/error.hpp"

namespace detrt {
namespace {

using json = nlohmann::ordered_json;

// To so many decimals as Python rounds: by the value's exact decimal digits, half to even.
double rounded(double value, int decimals) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", decimals, value);
    return std::strtod(text, nullptr);
}

json row_of(const Detection& one, const ModelContract& contract) {
    json row = {{"label", one.label}};
    if (one.label >= 0 && static_cast<std::size_t>(one.label) < contract.class_names.size())
        row["name"] = contract.class_names[static_cast<std::size_t>(one.label)];
    row["score"] = rounded(double(one.score), 5);
    row["box"] = json::array();
    for (const float value : one.box) row["box"].push_back(rounded(double(value), 2));
    return row;
}

// File names, and what decoders say of a damaged file, may be no UTF-8.
std::string line_of(const json& row) { return row.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string some(const std::vector<std::string>& names) {
    const std::vector<std::string> first(names.begin(),
                                         names.begin() + std::min<std::ptrdiff_t>(3, std::ptrdiff_t(names.size())));
    return joined(first, ", ") + (names.size() > 3 ? ", ..." : "");
}

json annotations_from(const std::filesystem::path& path) {
    std::ifstream file(path);
    if (!file)
        throw DatasetError(path.string() + " cannot be read: " + std::strerror(errno) + ".",
                           "Check the path of --annotations.");
    try {
        return json::parse(file);
    } catch (const json::exception& error) {
        throw DatasetError(path.string() + " is not a COCO detection set: " + one_line(error.what()) + ".",
                           "It needs images, annotations with bbox, and categories, as in instances_val2017.json.");
    }
}

}  // namespace

std::string json_line(const std::string& image, Size size, const Detections& found, const ModelContract& contract) {
    json row = {{"image", image}, {"width", size.width}, {"height", size.height}, {"detections", json::array()}};
    for (const auto& one : found) row["detections"].push_back(row_of(one, contract));
    return line_of(row);
}

std::string json_error_line(const std::string& image, const std::string& error) {
    return line_of({{"image", image}, {"error", error}});
}

CocoIds::CocoIds(const std::filesystem::path& annotations, const ModelContract& contract) : annotations_(annotations) {
    const json content = annotations_from(annotations);
    std::map<std::int64_t, std::string> categories;
    try {
        for (const auto& image : content.at("images"))
            image_ids_[image.at("file_name").get<std::string>()] = image.at("id").get<std::int64_t>();
        for (const auto& one : content.at("categories"))
            categories[one.at("id").get<std::int64_t>()] = one.at("name").get<std::string>();
    } catch (const json::exception& error) {
        throw DatasetError(annotations.string() + " is not a COCO detection set: " + one_line(error.what()) + ".",
                           "It needs images, annotations with bbox, and categories, as in instances_val2017.json.");
    }
    const auto& known = contract.class_names;
    std::map<std::string, std::int64_t> by_name;
    std::vector<std::string> names;
    for (const auto& [id, name] : categories) by_name[name] = id, names.push_back(name);
    const bool all_known = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
        return std::find(known.begin(), known.end(), name) != known.end();
    });
    if (!known.empty() && all_known) {
        for (const auto& name : known) category_ids_.push_back(by_name.count(name) ? by_name.at(name) : -1);
    } else if (known.empty() || known.size() == categories.size()) {
        for (const auto& [id, name] : categories) category_ids_.push_back(id);
    } else {
        throw DatasetError(
            "The model has " + std::to_string(known.size()) + " classes (" + some(known) + "), the annotations " +
                std::to_string(names.size()) + " categories (" + some(names) + "), and the names do not match.",
            "Give the model's class names in its labels' order: --contract names=FILE (one name a line).");
    }
}

void CocoIds::add(const std::filesystem::path& photo, const Detections& found) {
    const auto image = image_ids_.find(photo.filename().string());
    if (image == image_ids_.end())
        throw DatasetError(annotations_.string() + " lists no photo of the name " + photo.filename().string() + ".",
                           "Give the photos of that set.");
    for (const auto& one : found) {
        if (one.label < 0 || static_cast<std::size_t>(one.label) >= category_ids_.size())
            throw DatasetError("The model gave the label " + std::to_string(one.label) + " in image " +
                                   std::to_string(image->second) + ", but there are " +
                                   std::to_string(category_ids_.size()) + " categories.",
                               "The annotations are of other classes than the model; give the model's names: "
                               "--contract names=FILE");
        const auto [left, top, right, bottom] = one.box;
        const json row = {{"image_id", image->second},
                          {"category_id", category_ids_[static_cast<std::size_t>(one.label)]},
                          {"bbox", {double(left), double(top), double(right) - left, double(bottom) - top}},
                          {"score", double(one.score)}};
        rows_.push_back(row.dump());
    }
}

void CocoIds::save(const std::filesystem::path& path) const { write_whole(path, "[" + joined(rows_, ",\n") + "]\n"); }

}  // namespace detrt
