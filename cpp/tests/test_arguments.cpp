#include <doctest/doctest.h>

#include "arguments.hpp"
#include "detrt/error.hpp"

using namespace detrt;
using detrt::program::arguments_from;

namespace {

detrt::program::Arguments read(std::vector<std::string> words) {
    words.insert(words.begin(), "detrt-run");
    return arguments_from(words).value();
}

}  // namespace

TEST_CASE("options mean what they say") {
    const auto asked =
        read({"--engine", "m.engine", "a.jpg", "b/", "--threshold", "0.5", "--batch", "8", "--no-graph"});
    CHECK(asked.engine == "m.engine");
    CHECK(asked.sources == std::vector<std::string>{"a.jpg", "b/"});
    CHECK(asked.threshold == 0.5);
    CHECK(asked.batch == std::vector<int>{8});
    CHECK(asked.no_graph);
    CHECK_FALSE(asked.bench);
    CHECK_FALSE(asked.gpu_decode);
}

TEST_CASE("an ONNX file's engine is kept beside it") {
    CHECK(read({"--onnx", "d/m.onnx", "a.jpg"}).keep == "d/m.engine");
}

TEST_CASE("a benchmark takes lists") {
    const auto asked = read({"--engine", "m.engine", "--bench", "engine,e2e", "--batch", "1,8", "--streams", "1,4"});
    CHECK(asked.bench);
    CHECK(asked.protocols == std::vector<std::string>{"engine", "e2e"});
    CHECK(asked.batch == std::vector<int>{1, 8});
    CHECK(asked.streams == std::vector<int>{1, 4});
}

TEST_CASE("what makes no sense is refused") {
    CHECK_THROWS_AS(read({"a.jpg"}), UsageError);
    CHECK_THROWS_AS(read({"--engine", "m.engine"}), UsageError);
    CHECK_THROWS_AS(read({"--engine", "m.engine", "--onnx", "m.onnx", "a.jpg"}), UsageError);
    CHECK_THROWS_AS(read({"--engine", "m.engine", "a.jpg", "--batch", "0"}), UsageError);
    CHECK_THROWS_AS(read({"--engine", "m.engine", "a.jpg", "--batch", "1,8"}), UsageError);
    CHECK_THROWS_AS(read({"--engine", "m.engine", "a.jpg", "--threshold", "2"}), UsageError);
    CHECK_THROWS_AS(read({"--engine", "m.engine", "a.jpg", "--coco-results", "r.json"}), UsageError);
    CHECK_THROWS_AS(read({"--engine", "m.engine", "--bench", "network"}), UsageError);
    CHECK_THROWS_AS(read({"--engine", "m.engine", "a.jpg", "--nonsense"}), UsageError);
}
