#include <doctest/doctest.h>

#include <stdexcept>

#include "core/onnx_file.hpp"
#include "tiny_onnx.hpp"

using namespace detrt;

TEST_CASE("the tensors and the contract of an ONNX file are found") {
    const auto file = onnx_file_from(tiny::raw_detector(-1, {{"detrt.contract", "1"}, {"author", "me"}}));
    REQUIRE(file.inputs.size() == 1);
    CHECK(file.inputs[0].text() == "images float32 (N, 3, 32, 48)");
    REQUIRE(file.outputs.size() == 2);
    CHECK(file.outputs[1].text() == "boxes float32 (N, 1, 4)");
    CHECK(file.metadata.at("author") == "me");
}

TEST_CASE("a file that was cut off is refused wherever it was cut") {
    const auto whole = tiny::raw_detector();
    std::size_t refused = 0;
    for (std::size_t length = 0; length < whole.size(); ++length) {
        try {
            onnx_file_from(std::string_view(whole).substr(0, length));
        } catch (const std::runtime_error&) {
            ++refused;
        }
    }
    CHECK(refused == whole.size());
}

TEST_CASE("a batch closes the open axes and changes nothing else") {
    const auto file = onnx_file_from(with_batch(tiny::raw_detector(-1, {{"author", "me"}}), 300));
    CHECK(file.inputs[0].text() == "images float32 (300, 3, 32, 48)");
    CHECK(file.outputs[1].text() == "boxes float32 (N, 1, 4)");  // the parser infers it
    CHECK(file.metadata.at("author") == "me");
    CHECK(with_batch(tiny::raw_detector(2), 300) == tiny::raw_detector(2));
}
