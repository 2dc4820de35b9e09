// From photos to boxes, single calls and streams: with TensorRT on a GPU, and on a stand-in for both where there is
// none.
#include <doctest/doctest.h>

#include <cmath>
#include <thread>
#include <vector>

#include "detrt/detector.hpp"
#include "folder.hpp"
#include "tiny_detector.hpp"
#include "tiny_onnx.hpp"

using namespace detrt;

namespace {

using Colour = std::array<std::uint8_t, 3>;

const std::vector<Colour> kColours = {{255, 0, 0}, {0, 255, 51}, {51, 102, 204}};
const std::vector<Size> kSizes = {{64, 96}, {31, 200}, {500, 300}};

Source plain(std::size_t number) {
    Pixels photo(kSizes[number % 3]);
    for (std::size_t i = 0; i < photo.data.size(); ++i) photo.data[i] = kColours[number % 3][i % 3];
    return Source::pixels(std::move(photo), "photo " + std::to_string(number));
}

// What the model computes by hand of a plain photo.
void check(const Detections& found, std::size_t number) {
    const auto size = kSizes[number % 3];
    std::array<double, 3> colour;
    std::array<double, 4> box{};
    for (std::size_t i = 0; i < 3; ++i) {
        colour[i] = kColours[number % 3][i] / 255.0;
        for (std::size_t k = 0; k < 4; ++k) box[k] += colour[i] * double(tiny::kWeights[i][k]);
    }
    REQUIRE(found.size() == 3);
    for (const auto& one : found) {
        CHECK(one.score == doctest::Approx(1 / (1 + std::exp(-colour[std::size_t(one.label)]))).epsilon(1e-4));
        CHECK(one.box[0] == doctest::Approx((box[0] - box[2] / 2) * size.width).epsilon(1e-3));
        CHECK(one.box[1] == doctest::Approx((box[1] - box[3] / 2) * size.height).epsilon(1e-3));
        CHECK(one.box[2] == doctest::Approx((box[0] + box[2] / 2) * size.width).epsilon(1e-3));
        CHECK(one.box[3] == doctest::Approx((box[1] + box[3] / 2) * size.height).epsilon(1e-3));
    }
}

bool is_damaged(std::size_t number) { return number % 10 == 9; }

}  // namespace

TEST_CASE("photos of any sizes become the boxes that the model computes" * doctest::skip(!tiny::can_detect())) {
    const Folder folder;
    auto detector = Detector::open(tiny::engine_in(folder.path, 4));
    for (int turn = 0; turn < 3; ++turn) {
        const auto found = detector.detect({plain(0), plain(1), plain(2), plain(3), plain(4)});
        REQUIRE(found.size() == 5);
        for (std::size_t i = 0; i < 5; ++i) check(found[i], i);
    }
    check(detector(plain(2)), 2);
    CHECK_THROWS_AS(detector(Source::bytes({'n', 'o'})), ImageError);
    CHECK_THROWS_AS(detector(Source::file(folder.path / "none.jpg")), ImageError);
    check(detector(plain(1)), 1);  // an error leaves nothing behind
}

TEST_CASE("a stream keeps the order, and damaged photos fail alone" * doctest::skip(!tiny::can_detect())) {
    const Folder folder;
    for (const int batch : {1, 4}) {
        auto detector = Detector::open(tiny::engine_in(folder.path, batch));
        std::size_t given = 0, taken = 0;
        const auto next = [&]() -> std::optional<Source> {
            if (given == 203) return std::nullopt;
            const auto number = given++;
            return is_damaged(number) ? Source::bytes({'n', 'o'}, "photo " + std::to_string(number)) : plain(number);
        };
        const auto take = [&](Outcome&& outcome) {
            CHECK(outcome.source.name == "photo " + std::to_string(taken));
            CHECK(bool(outcome.error) == is_damaged(taken));
            if (!outcome.error) check(outcome.found, taken);
            CHECK(given - taken < 200);  // bounded memory: it does not take all before it gives
            ++taken;
        };
        detector.stream(next, take, {batch, 3});
        CHECK(taken == 203);
    }
}

TEST_CASE("who takes a stream's outcomes may stop it, or call the detector" * doctest::skip(!tiny::can_detect())) {
    const Folder folder;
    auto detector = Detector::open(tiny::engine_in(folder.path, 4));
    std::size_t given = 0, taken = 0;
    const auto next = [&] { return std::optional(plain(given++)); };  // without an end
    const auto take = [&](Outcome&&) {
        check(detector(plain(taken)), taken);
        if (++taken == 9) throw std::runtime_error("enough");
    };
    CHECK_THROWS_WITH(detector.stream(next, take, {4, 2}), "enough");
    check(detector(plain(0)), 0);
}

TEST_CASE("threads take turns" * doctest::skip(!tiny::can_detect())) {
    const Folder folder;
    auto detector = Detector::open(tiny::engine_in(folder.path, 4));
    std::vector<std::vector<Detections>> found(4);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < found.size(); ++i)
        threads.emplace_back([&, i] {
            for (int turn = 0; turn < 10; ++turn) found[i] = detector.detect({plain(i), plain(i + 1)});
        });
    for (auto& thread : threads) thread.join();
    for (std::size_t i = 0; i < found.size(); ++i) check(found[i][1], i + 1);
}
