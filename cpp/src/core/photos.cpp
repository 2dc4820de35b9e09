// Photos from their bytes: RGB, 8 bits, upright where people took them. JPEG by libjpeg-turbo, the decoder that Python
// uses, so that the pixels are the same; other formats by stb_image, or by OpenCV where detrt is built with it.
#include <turbojpeg.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "core/exif.hpp"
#include "core/files.hpp"
#include "core/other_formats.hpp"
#include "core/text.hpp"
#include "detrt/error.hpp"
#include "detrt/images.hpp"

namespace detrt {
namespace {

constexpr std::int64_t kMostPixels = 2LL * (1 << 30) / 4 / 3;  // Pillow's own limit, half a gigabyte of RGB

struct DestroyHandle {
    void operator()(void* handle) const { tjDestroy(handle); }
};
using Codec = std::unique_ptr<void, DestroyHandle>;

// One decoder a thread: making one allocates.
tjhandle decoder() {
    thread_local const Codec codec(tjInitDecompress());
    return codec.get();
}

[[noreturn]] void fail(tjhandle codec) { throw std::runtime_error(tjGetErrorStr2(codec)); }

bool is_jpeg(const Bytes& data) { return data.size() > 2 && data[0] == 0xff && data[1] == 0xd8 && data[2] == 0xff; }

struct Header {
    Size size;
    int color = 0;  // TJCS
};

Header header_of(const Bytes& data, const std::string& name) {
    Header header;
    int subsampling = 0;
    const auto codec = decoder();
    if (tjDecompressHeader3(codec, data.data(), data.size(), &header.size.width, &header.size.height, &subsampling,
                            &header.color) != 0)
        fail(codec);
    refuse_bomb(header.size, name);
    return header;
}

// A warning counts as an error: the rest of the photo would be grey.
void decode_to(int format, const Bytes& data, Size size, std::uint8_t* into) {
    const auto codec = decoder();
    if (tjDecompress2(codec, data.data(), data.size(), into, size.width, 0, size.height, format, TJFLAG_ACCURATEDCT))
        fail(codec);
}

Pixels jpeg_pixels(const Bytes& data, Size size) {
    Pixels pixels(size);
    decode_jpeg(data, size, pixels.data.data());
    return pixels;
}

// A picture for print. Its inks are taken as stored inverted, as Adobe's programs and Pillow do: 255 is none.
Pixels print_pixels(const Bytes& data, Size size) {
    Pixels pixels(size);
    Bytes inks(pixels.data.size() / 3 * 4);
    decode_to(TJPF_CMYK, data, size, inks.data());
    for (std::size_t i = 0; i < pixels.data.size(); ++i) {
        const auto* ink = &inks[i / 3 * 4];
        pixels.data[i] = static_cast<std::uint8_t>((ink[i % 3] * ink[3] + 127) / 255);  // 255 is odd: no ties
    }
    return pixels;
}

}  // namespace

void refuse_bomb(Size size, const std::string& name) {
    const auto pixels = std::int64_t(size.height) * size.width;
    if (pixels > kMostPixels)
        throw ImageError(
            name + " is over the limit of 179 megapixels: Image size (" + std::to_string(pixels) + " pixels).",
            "Scale it down or cut it into tiles first.");
}

Bytes read_bytes(const std::filesystem::path& path) {
    errno = 0;
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    Bytes data(file ? static_cast<std::size_t>(file.tellg()) : 0);
    if (!file || !file.seekg(0).read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size())))
        throw ImageError(path.string() + " cannot be read: " + std::strerror(errno ? errno : EISDIR) + ".",
                         "Check that it exists and may be read.");
    return data;
}

Pixels decode_photo(const Bytes& data, const std::string& name, bool upright) {
    if (data.empty()) throw ImageError(name + " is empty.", "Copy it again; it has 0 bytes.");
    try {
        const int orientation = upright ? orientation_of(data) : 1;
        if (const auto size = jpeg_size(data, name, false)) return turned(jpeg_pixels(data, *size), orientation);
        if (is_jpeg(data)) return turned(print_pixels(data, header_of(data, name).size), orientation);
        if (auto pixels = decode_other_format(data, name)) return turned(std::move(*pixels), orientation);
    } catch (const ImageError&) {
        throw;
    } catch (const std::exception& error) {
        throw ImageError(name + " cannot be decoded: " + one_line(error.what()) + ".",
                         "It is damaged or cut off; copy it again.");
    }
    throw ImageError(
        name + " is no image: its " + grouped(data.size()) + " bytes begin with " + quoted_start(data, 16) + ".",
        "Give a JPEG, PNG, WebP, BMP, GIF or TIFF file.");
}

std::optional<Size> jpeg_size(const Bytes& data, const std::string& name, bool upright) {
    if (!is_jpeg(data) || (upright && orientation_of(data) != 1)) return std::nullopt;
    const auto [size, color] = header_of(data, name);
    const bool known = color == TJCS_YCbCr || color == TJCS_GRAY || color == TJCS_RGB;
    return known ? std::optional(size) : std::nullopt;
}

void decode_jpeg(const Bytes& data, Size size, std::uint8_t* into) { decode_to(TJPF_RGB, data, size, into); }

void write_jpeg(const Pixels& pixels, const std::filesystem::path& path, int quality) {
    const Codec codec(tjInitCompress());
    unsigned char* data = nullptr;
    unsigned long size = 0;
    const int status = tjCompress2(codec.get(), pixels.data.data(), pixels.size.width, 0, pixels.size.height, TJPF_RGB,
                                   &data, &size, TJSAMP_420, quality, 0);
    const std::unique_ptr<unsigned char, void (*)(unsigned char*)> held(data, tjFree);
    if (status != 0) fail(codec.get());
    write_whole(path, {reinterpret_cast<const char*>(data), size});
}

}  // namespace detrt
