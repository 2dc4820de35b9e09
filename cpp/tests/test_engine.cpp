// Builds an engine with the TensorRT that is linked, which TensorRT-RTX does without a GPU, and runs it where there is
// one.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <vector>

#include "detrt/detrt.hpp"
#include "gpu/cuda.hpp"
#include "gpu/tensorrt_api.hpp"
#include "tiny_onnx.hpp"

using namespace detrt;
namespace fs = std::filesystem;

namespace {

struct Folder {
    fs::path path = fs::temp_directory_path() / ("detrt-engine-" + std::to_string(::getpid()));
    Folder() { fs::create_directories(path); }
    ~Folder() { fs::remove_all(path); }

    fs::path model(std::int64_t batch = 1) const {
        std::ofstream(path / "tiny.onnx", std::ios::binary) << tiny::raw_detector(batch);
        return path / "tiny.onnx";
    }
};

bool builds_here() { return trt::flavour().name == "tensorrt_rtx" || gpu_count() > 0; }

Source plain(std::array<std::uint8_t, 3> colour, Size size) {
    Pixels photo(size);
    for (std::size_t i = 0; i < photo.data.size(); ++i) photo.data[i] = colour[i % 3];
    return Source::pixels(std::move(photo));
}

}  // namespace

TEST_CASE("an engine is built with its papers, and not twice" * doctest::skip(!builds_here())) {
    const Folder folder;
    const auto engine = folder.path / "tiny.engine";
    const auto manifest = build_engine(folder.model(), engine);
    CHECK(manifest.version == trt::flavour().version);
    CHECK(manifest_of(engine).engine_sha256 == manifest.engine_sha256);
    CHECK(whole_engine(engine, manifest).size() == std::size_t(manifest.engine_bytes));
    const auto written = fs::last_write_time(engine);
    build_engine(folder.model(), engine);
    CHECK(fs::last_write_time(engine) == written);
}

TEST_CASE("a model that detrt cannot serve is refused before it is built") {
    const Folder folder;
    std::ofstream(folder.path / "cut.onnx") << "not a model";
    CHECK_THROWS_AS(build_engine(folder.path / "cut.onnx", folder.path / "cut.engine"), ModelError);
    CHECK_THROWS_AS(build_engine(folder.path / "none.onnx", folder.path / "none.engine"), ModelError);
    CHECK_THROWS_AS(build_engine(folder.model(), folder.path / "tiny.plan"), UsageError);
}

TEST_CASE("without a GPU an engine says what it needs" * doctest::skip(!builds_here() || gpu_count() > 0)) {
    const Folder folder;
    const auto engine = folder.path / "tiny.engine";
    build_engine(folder.model(), engine);
    try {
        Detector::open(engine);
        FAIL("it was opened");
    } catch (const EngineError& error) {
        CHECK(error.problem().find("tiny.engine needs " + trt::flavour().text()) == 0);
        CHECK(error.problem().find("No NVIDIA GPU number 0 here; there is none") != std::string::npos);
    }
}

TEST_CASE("photos of any sizes become the boxes that the model computes" * doctest::skip(gpu_count() == 0)) {
    const Folder folder;
    const auto engine = folder.path / "tiny.engine";
    build_engine(folder.model(4), engine, {4});
    auto detector = Detector::open(engine);
    const std::vector<Source> photos = {plain({255, 0, 0}, {64, 96}), plain({0, 255, 51}, {31, 200}),
                                        plain({51, 102, 204}, {500, 300})};
    const auto check = [&](const Detections& found, std::array<double, 3> colour, Size size) {
        REQUIRE(found.size() == 3);
        double box[4] = {};
        for (int i = 0; i < 3; ++i)
            for (int k = 0; k < 4; ++k) box[k] += colour[std::size_t(i)] * double(tiny::kWeights[i][k]);
        for (const auto& one : found) {
            CHECK(one.score == doctest::Approx(1 / (1 + std::exp(-colour[std::size_t(one.label)]))).epsilon(1e-4));
            CHECK(one.box[0] == doctest::Approx((box[0] - box[2] / 2) * size.width).epsilon(1e-3));
            CHECK(one.box[3] == doctest::Approx((box[1] + box[3] / 2) * size.height).epsilon(1e-3));
        }
    };
    const auto found = detector.detect(photos);
    check(found[0], {1, 0, 0}, {64, 96});
    check(found[1], {0, 1, 0.2}, {31, 200});
    check(found[2], {0.2, 0.4, 0.8}, {500, 300});

    std::size_t given = 0, taken = 0;
    const auto next = [&]() -> std::optional<Source> {
        if (given == 1000) return std::nullopt;
        if (given % 10 == 9) return ++given, Source::bytes({'n', 'o'}, "damaged");
        return photos[given++ % 3];
    };
    const auto take = [&](Outcome&& outcome) {  // in order, and damaged ones alone
        const bool damaged = taken % 10 == 9;
        CHECK(bool(outcome.error) == damaged);
        if (!damaged) CHECK(outcome.found[0].score == found[taken % 3][0].score);
        ++taken;
    };
    detector.stream(next, take, {4});
    CHECK(taken == 1000);
}
