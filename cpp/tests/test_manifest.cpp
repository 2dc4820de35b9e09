#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "core/sha256.hpp"
#include "detrt/error.hpp"
#include "detrt/manifest.hpp"

using namespace detrt;
namespace fs = std::filesystem;

namespace {

// A manifest and its engine in a folder of their own.
struct Papers {
    fs::path folder = fs::temp_directory_path() / ("detrt-manifest-" + std::to_string(std::hash<const void*>()(this)));
    fs::path engine = folder / "m.engine";
    EngineManifest manifest;

    Papers() {
        fs::create_directories(folder);
        std::ofstream(engine) << "engine";
        manifest.flavour = "tensorrt_rtx";
        manifest.version = "1.6.1.120";
        manifest.platform = platform_here();
        manifest.precision = "fp16";
        manifest.profile["images"] = {Shape{1, 3, 4, 5}, Shape{2, 3, 4, 5}, Shape{8, 3, 4, 5}};
        manifest.inputs = {{"images", {-1, 3, 4, 5}, "float32"}};
        manifest.onnx = "my model.onnx";
        manifest.arguments = {"--precision", "fp16"};
        manifest.engine_bytes = 6;
        manifest.engine_sha256 = sha256_of("engine", 6);
    }
    ~Papers() { fs::remove_all(folder); }
};

template <typename Work>
std::string error_of(Work work) {
    try {
        work();
    } catch (const EngineError& error) {
        return error.what();
    }
    return "none";
}

}  // namespace

TEST_CASE("what is written is read back") {
    Papers papers;
    papers.manifest.save(papers.engine);
    const auto read = manifest_of(papers.engine);
    CHECK(read.profile.at("images")[2] == Shape{8, 3, 4, 5});
    CHECK(read.inputs[0].shape[0] == -1);
    CHECK(read.needs() == "TensorRT-RTX 1.6.1.120 on " + platform_here() + ", compute capability 8.0 or later");
    CHECK(read.rebuild_command("m.engine") == "detrt build 'my model.onnx' -o m.engine --precision fp16");
    CHECK(whole_engine(papers.engine, read).size() == 6);
    papers.manifest.onnx = "m\xff.onnx";  // a file's name, which need be no UTF-8
    papers.manifest.save(papers.engine);
    CHECK(manifest_of(papers.engine).onnx == "m\uFFFD.onnx");
}

TEST_CASE("an input without a profile of its axes is damage") {
    Papers papers;
    papers.manifest.profile["images"][2].pop_back();
    papers.manifest.save(papers.engine);
    CHECK(error_of([&] { manifest_of(papers.engine); }).find("is damaged: the profile of images is (8, 3, 4).") !=
          std::string::npos);
    papers.manifest.profile["images"] = {Shape{0, 3, 4, 5}, Shape{0, 3, 4, 5}, Shape{0, 3, 4, 5}};
    papers.manifest.save(papers.engine);
    CHECK(error_of([&] { manifest_of(papers.engine); }).find("is damaged: ") != std::string::npos);
    papers.manifest.profile.clear();
    papers.manifest.save(papers.engine);
    CHECK(error_of([&] { manifest_of(papers.engine); }).find("is damaged: ") != std::string::npos);
}

TEST_CASE("a contract is not of a model whose images have no shape") {
    Papers papers;
    papers.manifest.metadata = {{"detrt.contract", "1"},
                                {"detrt.input_size", "[4, 5]"},
                                {"detrt.output_form", "\"raw\""},
                                {"detrt.sizes_name", "null"}};
    papers.manifest.outputs = {{"logits", {}, "float32"}, {"boxes", {}, "float32"}};
    CHECK(papers.manifest.contract().input_size == Size{4, 5});
    papers.manifest.inputs[0].shape.clear();
    CHECK_THROWS_AS(papers.manifest.contract(), ContractError);
}

TEST_CASE("an engine that was changed or cut off is not given to TensorRT") {
    Papers papers;
    std::ofstream(papers.engine) << "Engine";
    CHECK(error_of([&] { whole_engine(papers.engine, papers.manifest); }).find("SHA-256 differ") != std::string::npos);
    std::ofstream(papers.engine) << "eng";
    CHECK(error_of([&] {
              whole_engine(papers.engine, papers.manifest);
          }).find("has 3 bytes, but its manifest says 6") != std::string::npos);
}

TEST_CASE("an engine runs on the TensorRT and the GPUs that it was built for") {
    Papers papers;
    auto& manifest = papers.manifest;
    refuse_other_flavour(manifest, papers.engine, {"tensorrt_rtx", "1.6.1.120"});
    CHECK(error_of([&] {
              refuse_other_flavour(manifest, papers.engine, {"tensorrt_rtx", "1.7.1.116"});
          }).find("TensorRT-RTX here is 1.7.1.116") != std::string::npos);
    manifest.version_compatible = true;
    refuse_other_flavour(manifest, papers.engine, {"tensorrt_rtx", "1.7.1.116"});

    refuse_foreign_gpu(manifest, papers.engine, "H100", "9.0");
    refuse_foreign_gpu(manifest, papers.engine, "5090", "12.0");  // 12 is later than 9, though "1" comes before "9"
    CHECK(error_of([&] {
              refuse_foreign_gpu(manifest, papers.engine, "T4", "7.5");
          }).find("the GPU here is T4 with compute capability 7.5") != std::string::npos);
    manifest.flavour = "tensorrt";
    manifest.compute_capabilities = {"8.9"};
    CHECK(error_of([&] { refuse_foreign_gpu(manifest, papers.engine, "H100", "9.0"); }) != "none");
    manifest.platform = "windows-amd64";
    CHECK(error_of([&] { refuse_other_platform(manifest, papers.engine); }).find("but this is " + platform_here()) !=
          std::string::npos);
}
