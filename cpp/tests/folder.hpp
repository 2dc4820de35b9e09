// A folder that is there as long as a test.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

struct Folder {
    std::filesystem::path path = std::filesystem::temp_directory_path() / ("detrt-" + std::to_string(::getpid()));

    Folder() { std::filesystem::create_directories(path); }
    ~Folder() { std::filesystem::remove_all(path); }
};
