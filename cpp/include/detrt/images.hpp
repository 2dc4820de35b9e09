// Photos: found, read, and brought to the network's input size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "detrt/contract.hpp"

namespace detrt {

// (height, width, 3), 8 bits, RGB.
struct Pixels {
    Size size;
    std::vector<std::uint8_t> data;

    Pixels() = default;
    explicit Pixels(Size size) : size(size), data(std::size_t(3) * size.height * size.width) {}
};

using Bytes = std::vector<std::uint8_t>;

// A photo to come: a file, its bytes in memory, or its pixels.
struct Source {
    std::string name;  // what an error calls it
    std::variant<std::filesystem::path, std::shared_ptr<const Bytes>, std::shared_ptr<const Pixels>> content;
    bool upright = true;  // turn it as its EXIF orientation says, which COCO's annotations do not

    static Source file(const std::filesystem::path& path) { return {path.string(), path}; }
    static Source bytes(Bytes data, std::string name = "the photo") {
        return {std::move(name), std::make_shared<const Bytes>(std::move(data))};
    }
    static Source pixels(Pixels pixels, std::string name = "the photo") {
        return {std::move(name), std::make_shared<const Pixels>(std::move(pixels))};
    }
};

// The photos that files, folders and globs ('**' for any depth) name: as given, each folder's and glob's in the order
// of names. An ImageError where a source is not there or holds none.
std::vector<std::filesystem::path> find_photos(const std::vector<std::string>& sources);

// The whole file; an ImageError where it cannot be read.
Bytes read_bytes(const std::filesystem::path& path);

// Decodes a photo; an ImageError where it cannot be, which calls it `name`.
Pixels decode_photo(const Bytes& data, const std::string& name = "the photo", bool upright = true);

// Size of a JPEG that `decode_jpeg` can decode, from its header; none for anything else. An ImageError where it is too
// large, a std::runtime_error where the header is damaged.
std::optional<Size> jpeg_size(const Bytes& data, const std::string& name = "the photo", bool upright = true);

// Decodes a JPEG of that size into (height, width, 3), bit for bit what Pillow gives. A std::runtime_error where it is
// damaged or cut off.
void decode_jpeg(const Bytes& data, Size size, std::uint8_t* into);

// Writes a JPEG, whole or not at all.
void write_jpeg(const Pixels& pixels, const std::filesystem::path& path, int quality = 92);

// Where a photo lies in the network's input: it covers `size` pixels from (`top`, `left`).
struct Placement {
    Size photo, input, size;
    int top = 0, left = 0;

    // Width and height of the whole input in photo pixels.
    std::pair<double, double> span() const;
    // X and y of the photo's corner in the input, in photo pixels.
    std::pair<double, double> offset() const;
};

Placement place(Size photo, Size input, const ResizeRule& rule);

// The photo at the input's size, padding included, in the kernel's arithmetic: within two grey levels of Pillow's, and
// nearly always one. What the GPU's kernel is held against, and what makes a huge photo small before it goes there.
Pixels resize(const Pixels& photo, const Placement& placement, const ResizeRule& rule);

}  // namespace detrt
