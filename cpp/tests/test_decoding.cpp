#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/decoding.hpp"

using namespace detrt;

namespace {

const Placement kStretched = {{100, 200}, {32, 48}, {32, 48}};

ModelContract raw_contract(int top_k) {
    ModelContract contract;
    contract.input_size = {32, 48};
    contract.output_form = OutputForm::raw;
    contract.outputs = {{"logits", "logits"}, {"boxes", "boxes"}};
    contract.sizes_name.reset();
    contract.top_k = top_k;
    return contract;
}

std::map<std::string, HostTensor> raw_outputs(const std::vector<float>& logits, const std::vector<float>& boxes) {
    const auto queries = static_cast<std::int64_t>(boxes.size() / 4);
    return {{"logits", {logits.data(), {1, queries, std::int64_t(logits.size()) / queries}, "float32"}},
            {"boxes", {boxes.data(), {1, queries, 4}, "float32"}}};
}

}  // namespace

TEST_CASE("the best of queries x classes are taken, two of one query among them") {
    const std::vector<float> logits = {0, 3, -1, 2, -2, 1}, boxes = {0.5f, 0.5f, 1, 1, 0.25f, 0.5f, 0.5f, 0.5f};
    const auto found = decode(raw_contract(3), raw_outputs(logits, boxes), {kStretched}).front();
    REQUIRE(found.size() == 3);
    CHECK(found[0].label == 1);
    CHECK(found[1].label == 0);  // of the second query: logit 2
    CHECK(found[2].label == 2);
    CHECK(found[0].score == doctest::Approx(1 / (1 + std::exp(-3.0))));
    CHECK(found[1].box[0] == doctest::Approx(0));
    CHECK(found[1].box[1] == doctest::Approx(25));
    CHECK(found[1].box[2] == doctest::Approx(100));
}

TEST_CASE("a broken model's NaN is kept for the check that refuses it") {
    const std::vector<float> logits = {0, NAN, 5}, boxes = {0.5f, 0.5f, 1, 1};
    const auto found = decode(raw_contract(1), raw_outputs(logits, boxes), {kStretched}).front();
    CHECK(count_non_finite(found) == 1);
}

TEST_CASE("final rows are sorted where the model did not, and read in any dtype") {
    ModelContract contract;
    contract.input_size = {32, 48};
    contract.outputs = {{"labels", "l"}, {"boxes", "b"}, {"scores", "s"}};
    const std::int32_t labels[] = {4, 5};
    const float boxes[] = {0, 0, 1, 1, 2, 2, 3, 3};
    const std::uint16_t scores[] = {0x3400, 0x3800};  // 0.25 and 0.5 as IEEE halves
    const auto found = decode(contract,
                              {{"l", {labels, {1, 2}, "int32"}},
                               {"b", {boxes, {1, 2, 4}, "float32"}},
                               {"s", {scores, {1, 2}, "float16"}}},
                              {kStretched})
                           .front();
    CHECK(found[0].label == 5);
    CHECK(found[0].score == 0.5f);
    CHECK(found[1].score == 0.25f);
    CHECK(above(found, 0.3f).size() == 1);
}
