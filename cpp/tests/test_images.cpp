#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "core/exif.hpp"
#include "detrt/error.hpp"
#include "detrt/images.hpp"

using namespace detrt;
namespace fs = std::filesystem;

TEST_CASE("a letterboxed photo keeps its aspect ratio and lies in the middle") {
    const auto placement = place({100, 200}, {64, 64}, {true, true, 114});
    CHECK(placement.size == Size{32, 64});
    CHECK(placement.top == 16);
    CHECK(placement.left == 0);
    CHECK(placement.span().second == doctest::Approx(200));  // the padding counts
    CHECK(placement.offset().second == doctest::Approx(50));
}

TEST_CASE("resizing keeps a plain colour, and pads with grey") {
    Pixels photo({50, 100});
    std::fill(photo.data.begin(), photo.data.end(), std::uint8_t(200));
    const ResizeRule rule{true, true, 7};
    const auto made = resize(photo, place(photo.size, {20, 20}, rule), rule);
    CHECK(made.data[0] == 7);
    CHECK(made.data[(10 * 20 + 10) * 3] == 200);
}

TEST_CASE("halving averages the pixels that antialiasing reaches") {
    Pixels photo({1, 4});
    for (int x = 0; x < 4; ++x)
        for (int channel = 0; channel < 3; ++channel)
            photo.data[std::size_t(3 * x + channel)] = std::uint8_t(x == 0 ? 70 : 0);
    const auto made = resize(photo, place(photo.size, {1, 2}, {}), {});
    CHECK(made.data[0] == 30);  // weights 3, 3, 1 of 7: the triangle of four pixels around 1, cut off at the edge
    CHECK(made.data[3] == 0);
}

TEST_CASE("a photo is turned as it was held") {
    Pixels photo({1, 2});
    photo.data = {1, 1, 1, 2, 2, 2};
    CHECK(turned(photo, 6).size == Size{2, 1});
    CHECK(turned(photo, 6).data[0] == 1);
    CHECK(turned(photo, 8).data[0] == 2);
    CHECK(turned(photo, 3).data[0] == 2);
}

TEST_CASE("what is no photo is refused by name") {
    const Bytes text = {'h', 'e', 'l', 'l', 'o'};
    CHECK_THROWS_WITH_AS(
        decode_photo(text, "a.jpg"),
        "a.jpg is no image: its 5 bytes begin with 'hello'. Give a JPEG, PNG, WebP, BMP, GIF or TIFF file.",
        ImageError);
    CHECK_THROWS_WITH_AS(decode_photo({}, "a.jpg"), "a.jpg is empty. Copy it again; it has 0 bytes.", ImageError);
}

TEST_CASE("a JPEG comes back as it was, and a cut one is refused") {
    const auto folder = fs::temp_directory_path() / "detrt-test-images";
    Pixels photo({40, 60});
    std::fill(photo.data.begin(), photo.data.end(), std::uint8_t(128));
    write_jpeg(photo, folder / "grey.jpg");
    auto data = read_bytes(folder / "grey.jpg");
    CHECK(decode_photo(data).data == photo.data);
    data.resize(data.size() / 2);
    CHECK_THROWS_AS(decode_photo(data), ImageError);
    fs::remove_all(folder);
}
