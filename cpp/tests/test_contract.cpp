#include <doctest/doctest.h>

#include "detrt/contract.hpp"
#include "detrt/error.hpp"

using namespace detrt;

namespace {

const Metadata kWritten = {{"detrt.contract", "1"},
                           {"detrt.input_size", "[320, 640]"},
                           {"detrt.output_form", "\"raw\""},
                           {"detrt.outputs", R"({"logits": "a", "boxes": "b"})"},
                           {"detrt.sizes_name", "null"},
                           {"detrt.resize", R"({"mode": "letterbox", "antialias": false, "pad": 0})"},
                           {"detrt.color", "\"BGR\""},
                           {"detrt.std", "[0.5, 0.5, 0.25]"},
                           {"detrt.class_names", R"(["cat", "dög"])"}};

std::string problem_with(const std::string& key, const std::string& value) {
    auto metadata = kWritten;
    metadata["detrt." + key] = value;
    try {
        contract_from_metadata(metadata);
    } catch (const ContractError& error) {
        return error.problem();
    }
    return "none";
}

}  // namespace

TEST_CASE("a contract is read as it was written") {
    const auto contract = contract_from_metadata(kWritten).value();
    CHECK(contract.input_size == Size{320, 640});
    CHECK(contract.output_form == OutputForm::raw);
    CHECK(contract.output("logits") == "a");
    CHECK_FALSE(contract.sizes_name.has_value());
    CHECK(contract.resize.letterbox);
    CHECK_FALSE(contract.resize.antialias);
    CHECK(contract.resize.pad == 0);
    CHECK(contract.bgr);
    CHECK(contract.deviation[2] == 0.25);
    CHECK(contract.name_of(1) == "dög");
    CHECK(contract.name_of(2) == "class 2");
    CHECK(contract.top_k == 300);  // what is not said keeps its default
}

TEST_CASE("a model without a contract has none") {
    CHECK_FALSE(contract_from_metadata({{"author", "me"}}).has_value());
}

TEST_CASE("a contract that cannot be is refused by name") {
    CHECK(problem_with("contract", "2") == "The model's contract has format 2; this detrt reads format 1.");
    CHECK(problem_with("color", "\"CMYK\"") == "The colour order is 'CMYK'.");
    CHECK(problem_with("input_size", "[0, 48]") == "The input size is (0, 48).");
    CHECK(problem_with("outputs", R"({"logits": "a"})").find("but the contract names logits.") != std::string::npos);
    CHECK(problem_with("mean", "[1, 2").find("The model's contract cannot be read") == 0);
}

TEST_CASE("a foreign model's contract comes from its tensors") {
    const std::vector<TensorSpec> inputs = {{"x", {-1, 3, 416, 416}, "float32"}, {"s", {-1, 2}, "int64"}};
    const std::vector<TensorSpec> outputs = {
        {"l", {-1, 300}, "int64"}, {"b", {-1, 300, 4}, "float32"}, {"p", {-1, 300}, "float32"}};
    const auto contract = contract_from_signature(inputs, outputs);
    CHECK(contract.input_name == "x");
    CHECK(contract.sizes_name == "s");
    CHECK(contract.output("scores") == "p");
    CHECK_THROWS_AS(contract_from_signature(inputs, {outputs[0]}), ContractError);
}
