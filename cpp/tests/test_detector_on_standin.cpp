// What a GPU does seldom or in its own time, forced on the stand-in.
#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <vector>

#include "detrt/detector.hpp"
#include "detrt/error.hpp"
#include "detrt/manifest.hpp"
#include "folder.hpp"
#include "standin_engine.hpp"
#include "tiny_detector.hpp"

using namespace detrt;

namespace {

Source plain(Size size = {30, 40}) { return Source::pixels(Pixels(size)); }

std::filesystem::path engine_of_any_batch_in(const Folder& folder) {
    const auto engine = tiny::engine_in(folder.path, 1);
    auto manifest = manifest_of(engine);
    manifest.batch = {1, 1, 8};
    for (auto* specs : {&manifest.inputs, &manifest.outputs})
        for (auto& spec : *specs) spec.shape[0] = -1;
    manifest.profile["images"][2][0] = 8;
    manifest.save(engine);
    return engine;
}

}  // namespace

TEST_CASE("a photo that finds no memory ends a call only when no other is on its way into it") {
    constexpr Size wide{1000, 1100}, narrow{1000, 900};
    const auto is_of = [](std::size_t bytes, Size size) {
        return bytes == std::size_t(size.height) * size.width * 15 / 4;
    };
    const Folder folder;
    std::promise<void> refused, ended;
    const auto has_refused = refused.get_future().share(), has_ended = ended.get_future().share();
    std::atomic<bool> ended_early{false};
    const standin::Room room([&](std::size_t bytes) {
        if (is_of(bytes, wide)) refused.set_value();
        if (is_of(bytes, narrow)) {
            has_refused.wait();
            ended_early = has_ended.wait_for(std::chrono::milliseconds(100)) == std::future_status::ready;
        }
        return !is_of(bytes, wide);
    });
    auto detector = Detector::open(tiny::engine_in(folder.path, 2));
    CHECK_THROWS_AS(detector.detect({plain(wide), plain(narrow)}), EngineError);
    ended.set_value();
    CHECK_FALSE(ended_early);
    CHECK(detector.detect({plain(), plain()}).size() == 2);
}

TEST_CASE("calls of many batch sizes amid a stream neither end what it runs on nor run beside it") {
    const Folder folder;
    auto detector = Detector::open(engine_of_any_batch_in(folder));
    auto& engine = standin::engine();
    engine.milliseconds = 10;
    engine.crowded = false;  // as several detectors are
    int given = 0, taken = 0;
    const auto next = [&] { return given++ < 12 ? std::optional(plain()) : std::nullopt; };
    const auto take = [&](Outcome&& outcome) {
        CHECK_FALSE(outcome.error);
        if (++taken == 3)
            for (int batch : {2, 3, 4, 5, 6, 1})
                CHECK(detector.detect(std::vector<Source>(std::size_t(batch), plain())).size() == std::size_t(batch));
    };
    detector.stream(next, take, {1, 2});
    engine.milliseconds = 0;
    CHECK(taken == 12);
    CHECK_FALSE(engine.crowded);
}

TEST_CASE("a call runs the batch that the engine takes, whatever was asked for when it was built") {
    const Folder folder;
    const auto engine = tiny::engine_in(folder.path, 4);
    auto manifest = manifest_of(engine);
    manifest.batch = {1, 1, 1};  // of a model whose batch is fixed
    manifest.save(engine);
    CHECK(Detector::open(engine).detect(std::vector<Source>(5, plain())).size() == 5);
}

TEST_CASE("a contract that is not of the engine is refused before anything is read or written by it") {
    const Folder folder;
    const auto engine = tiny::engine_in(folder.path, 2);
    const auto whole = manifest_of(engine);
    const auto open = [&](const Metadata& changes, bool shapes_known = true) {
        auto manifest = whole;
        manifest.metadata = {{"detrt.contract", "1"},
                             {"detrt.input_size", "[32, 48]"},
                             {"detrt.output_form", "\"raw\""},
                             {"detrt.sizes_name", "null"}};
        for (const auto& [key, value] : changes) manifest.metadata["detrt." + key] = value;
        if (!shapes_known)
            for (auto& spec : manifest.outputs) spec.shape.clear();
        manifest.save(engine);
        return Detector::open(engine);
    };
    const Metadata swapped = {{"outputs", R"({"logits": "boxes", "boxes": "logits"})"}};
    CHECK(open({}).detect({plain(), plain()}).size() == 2);
    CHECK_THROWS_AS(open({{"input_size", "[640, 640]"}}), ContractError);
    CHECK_THROWS_AS(open({{"input_name", "\"pixels\""}}), ContractError);
    CHECK_THROWS_AS(open({{"sizes_name", "\"sizes\""}}), ContractError);
    CHECK_THROWS_AS(open({{"outputs", R"({"logits": "scores", "boxes": "boxes"})"}}), ContractError);
    CHECK_THROWS_AS(open(swapped), ContractError);
    CHECK_THROWS_AS(open({{"output_form", "\"detections\""},
                          {"outputs", R"({"labels": "logits", "boxes": "boxes", "scores": "logits"})"}}),
                    ContractError);
    auto unknown = open(swapped, false);
    CHECK_THROWS_WITH_AS(unknown(plain()),
                         "The model's contract does not fit its tensors: the output logits float32 (2, 1, 3) should be "
                         "(2, 1, 4). Export the model again, and build its engine anew.",
                         ContractError);
}
