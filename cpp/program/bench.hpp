// How fast an engine runs, by the protocols of `detrt bench`.
#pragma once

#include <filesystem>
#include <vector>

#include "arguments.hpp"

namespace detrt::program {

// Times every combination of protocol, batch and streams, in turns; prints a table and writes --json. The exit code.
int bench(const std::filesystem::path& engine, const std::vector<std::filesystem::path>& photos,
          const Arguments& asked);

}  // namespace detrt::program
