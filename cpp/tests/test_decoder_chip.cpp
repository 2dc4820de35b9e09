// JPEGs through a decoder chip that does not see where their data end, on a stand-in for it.
#include <doctest/doctest.h>
#include <nvjpeg.h>

#include <random>
#include <thread>
#include <vector>

#include "detrt/detector.hpp"
#include "folder.hpp"
#include "tiny_detector.hpp"

using namespace detrt;

namespace {

// A photo of blobs, as a file; of one colour where it has no seed.
Bytes jpeg(const Folder& folder, unsigned seed, Size size = {90, 130}) {
    Pixels photo(size);
    std::mt19937 random(seed);
    std::vector<std::uint8_t> blobs(1024);
    for (auto& blob : blobs) blob = seed ? static_cast<std::uint8_t>(random()) : 200;
    for (int y = 0; y < size.height; ++y)
        for (int x = 0; x < size.width * 3; ++x)
            photo.data[std::size_t(y) * size.width * 3 + x] =
                blobs[std::size_t(y / 5 * 31 + x / 15 * 3 + x % 3) % 1024];
    write_jpeg(photo, folder.path / "photo.jpg");
    return read_bytes(folder.path / "photo.jpg");
}

Bytes cut(Bytes file, bool ended) {
    file.resize(file.size() * 2 / 3);
    if (ended) file.insert(file.end(), {0xff, 0xd9});
    return file;
}

// With a comment that the stand-in takes offence at.
Bytes refused(Bytes file) {
    const std::string comment("\xff\xfe\0\x09no chip", 11);
    file.insert(file.begin() + 2, comment.begin(), comment.end());
    return file;
}

Detector detector_in(const Folder& folder, bool chip, int batch = 4) {
    DetectorOptions options;
    options.gpu_decode = chip;
    return Detector::open(tiny::engine_in(folder.path, batch), options);
}

std::vector<Outcome> outcomes_of(Detector& detector, const std::vector<Source>& photos, int batch = 4) {
    std::vector<Outcome> all;
    std::size_t given = 0;
    detector.stream([&] { return given < photos.size() ? std::optional(photos[given++]) : std::nullopt; },
                    [&](Outcome&& outcome) { all.push_back(std::move(outcome)); }, {batch, 3});
    return all;
}

void check_same(const Detections& one, const Detections& other) {
    REQUIRE(one.size() == other.size());
    for (std::size_t i = 0; i < one.size(); ++i) {
        CHECK(one[i].box == other[i].box);
        CHECK(one[i].score == other[i].score);
        CHECK(one[i].label == other[i].label);
    }
}

}  // namespace

TEST_CASE("the chip decodes a group at a time, to what the CPU gives") {
    const Folder folder;
    std::vector<Source> photos;
    for (unsigned i = 1; i <= 18; ++i) photos.push_back(Source::bytes(jpeg(folder, i, {80 + int(i), 130})));
    auto ours = detector_in(folder, true), theirs = detector_in(folder, false);
    const auto before = standin::chip();
    const auto found = outcomes_of(ours, photos), expected = outcomes_of(theirs, photos);
    const auto after = standin::chip();
    CHECK(after.photos - before.photos == 18);
    CHECK(after.groups - before.groups == 5);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        CHECK_FALSE(found[i].error);
        check_same(found[i].found, expected[i].found);
    }
    check_same(ours(photos[0]), expected[0].found);
    CHECK(standin::chip().photos - after.photos == 1);
    CHECK_FALSE(standin::chip().crowded);
}

TEST_CASE("damage that the chip does not see is found, and what it refuses goes the CPU's way") {
    const Folder folder;
    const auto whole = jpeg(folder, 1), plain = jpeg(folder, 0);
    const std::vector<Source> photos = {
        Source::bytes(whole),
        Source::bytes(cut(whole, true)),
        Source::bytes(cut(whole, false)),
        Source::bytes(plain),
        Source::bytes(refused(whole)),
        Source::bytes({'n', 'o'}),
        Source::bytes(refused(plain)),
        Source::bytes(refused(cut(whole, true))),
        Source::bytes(whole),
    };
    const std::vector<bool> damaged = {false, true, true, false, false, true, false, true, false};
    for (const int batch : {1, 4}) {
        auto ours = detector_in(folder, true, batch), theirs = detector_in(folder, false, batch);
        const auto found = outcomes_of(ours, photos, batch), expected = outcomes_of(theirs, photos, batch);
        REQUIRE(found.size() == photos.size());
        for (std::size_t i = 0; i < found.size(); ++i) {
            CAPTURE(i);
            CHECK(bool(found[i].error) == damaged[i]);
            CHECK(bool(expected[i].error) == damaged[i]);
            if (damaged[i] && expected[i].error) CHECK(found[i].error->problem() == expected[i].error->problem());
            check_same(found[i].found, expected[i].found);
        }
        CHECK_THROWS_AS(ours(photos[1]), ImageError);
        check_same(ours(photos[0]), expected[0].found);
    }
    CHECK_FALSE(standin::chip().crowded);
}

TEST_CASE("detectors take turns at the chip") {
    const Folder folder;
    std::vector<Source> photos;
    for (unsigned i = 0; i < 10; ++i) photos.push_back(Source::bytes(jpeg(folder, i)));
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([&, detector = std::make_shared<Detector>(detector_in(folder, true))] {
            CHECK(outcomes_of(*detector, photos).size() == photos.size());
        });
    for (auto& thread : threads) thread.join();
    CHECK_FALSE(standin::chip().crowded);
}
