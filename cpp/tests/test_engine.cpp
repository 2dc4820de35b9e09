// Builds an engine with the TensorRT that is linked, which TensorRT-RTX does without a GPU, and runs it where there is
// one.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

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
