// What people point at: files, folders and globs, in a stable order.
#include <fnmatch.h>

#include <algorithm>
#include <array>

#include "core/text.hpp"
#include "detrt/error.hpp"
#include "detrt/images.hpp"

namespace detrt {
namespace {

namespace fs = std::filesystem;

constexpr std::array kSuffixes = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"};

bool is_photo(const fs::path& path) {
    const auto suffix = lower(path.extension().string());
    return std::find(kSuffixes.begin(), kSuffixes.end(), suffix) != kSuffixes.end();
}

bool is_pattern(const std::string& text) { return text.find_first_of("*?[") != std::string::npos; }

// Adds what lies below `folder` and fits the parts of a pattern from `next` on.
void match(const fs::path& folder, const std::vector<std::string>& parts, std::size_t next,
           std::vector<fs::path>& found) {
    if (next == parts.size()) {
        if (fs::is_regular_file(folder)) found.push_back(folder);
        return;
    }
    const auto& part = parts[next];
    if (!is_pattern(part)) {
        if (fs::exists(folder / part)) match(folder / part, parts, next + 1, found);
        return;
    }
    if (part == "**") match(folder, parts, next + 1, found);  // no folder at all
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder.empty() ? fs::path(".") : folder, ignored)) {
        const auto name = entry.path().filename().string();
        if (part == "**") {
            if (entry.is_directory() && name[0] != '.') match(folder / name, parts, next, found);
            if (next + 1 == parts.size() && entry.is_regular_file() && name[0] != '.') found.push_back(folder / name);
        } else if (::fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) == 0) {
            match(folder / name, parts, next + 1, found);
        }
    }
}

std::vector<fs::path> matches(const std::string& pattern) {
    std::vector<std::string> parts;
    const fs::path path(pattern);
    for (const auto& part : path.relative_path()) parts.push_back(part.string());
    std::vector<fs::path> found;
    match(path.root_path(), parts, 0, found);
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

std::vector<fs::path> files_of(const std::string& source) {
    const fs::path path(source);
    std::error_code error;
    if (fs::is_directory(path, error)) {
        std::vector<fs::path> found;
        for (const auto& entry : fs::directory_iterator(path, error))
            if (is_photo(entry.path()) && entry.is_regular_file()) found.push_back(entry.path());
        if (error)
            throw ImageError(source + " cannot be listed: " + error.message() + ".",
                             "Check its permissions, or give another folder.");
        std::sort(found.begin(), found.end());
        return found;
    }
    if (fs::exists(path, error)) return {path};
    if (is_pattern(source)) return matches(source);
    throw ImageError("There is nothing at " + source + ".", "Give photos, folders or globs in quotes.");
}

}  // namespace

std::vector<fs::path> find_photos(const std::vector<std::string>& sources) {
    std::vector<fs::path> all;
    for (const auto& source : sources) {
        const auto found = files_of(source);
        if (found.empty())
            throw ImageError(
                "There is no image in " + source + ".",
                "Files with one of these suffixes count: " + joined({kSuffixes.begin(), kSuffixes.end()}, ", ") + ".");
        all.insert(all.end(), found.begin(), found.end());
    }
    return all;
}

}  // namespace detrt
