// What identifies a file: its SHA-256 (FIPS 180-4).
#pragma once

#include <cstddef>
#include <string>

namespace detrt {

// Hex digest of memory.
std::string sha256_of(const void* data, std::size_t size);

}  // namespace detrt
