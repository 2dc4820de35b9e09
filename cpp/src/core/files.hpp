// Files that are whole or not there at all.
#pragma once

#include <filesystem>
#include <string_view>

namespace detrt {

// Writes beside `path` and takes its name at the end. A std::system_error where that fails.
void write_whole(const std::filesystem::path& path, std::string_view content);

}  // namespace detrt
