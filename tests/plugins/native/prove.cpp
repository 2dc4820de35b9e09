// Proves a plugin library through TensorRT's own interfaces, without an engine:
//
//     prove LIBRARY [--registry libtensorrt_rtx.so.1] [--gpu]
//
// On any machine: it loads, creates plugins from their fields, refuses wrong ones, answers shapes, types and formats,
// and comes back from serialisation the same. With --gpu also: right results from a loaded plugin, in two contexts on
// two streams at once, from a captured graph, at changing shapes, with no byte written beyond its outputs.
#include "on_gpu.h"

#include <cstdio>

namespace {

int failures = 0;
int checks = 0;

void expect(bool holds, std::string const& what) {
    ++checks;
    if (!holds) {
        ++failures;
        std::printf("FAILED: %s\n", what.c_str());
    }
}

std::vector<std::pair<std::string, Case>> cases() {
    std::vector<std::pair<std::string, Case>> all;
    auto attention = [&](char const* name, AttentionShape const& shape) {
        all.emplace_back(name, attention_case(shape, static_cast<unsigned>(all.size())));
    };
    auto offsets = [&](char const* name, OffsetsShape const& shape) {
        all.emplace_back(name, offsets_case(shape, static_cast<unsigned>(all.size())));
    };
    constexpr auto F = DataType::kFLOAT, H = DataType::kHALF, I = DataType::kINT8;
    std::vector<int32_t> const maps{40, 40, 20, 20, 10, 10}, odd{7, 9, 3, 4}, tiny{1, 1, 5, 1};
    attention("R18's heads, FP32", {1, 300, 8, 32, maps, {4, 4, 4}, false, F, F});
    attention("R18's heads, FP16", {2, 300, 8, 32, maps, {4, 4, 4}, false, H, H});
    attention("FP16 with FP32 places", {3, 17, 8, 32, maps, {4, 4, 4}, false, H, F});
    attention("uneven points, ragged channels", {2, 33, 3, 5, odd, {3, 6}, false, F, F});
    attention("maps of one cell", {1, 9, 2, 8, tiny, {2, 1}, false, F, F});
    attention("discrete", {2, 33, 4, 16, odd, {4, 2}, true, F, F});
    offsets("R18's projection, FP32", {1, 300, 256, 96, 192, I, F});
    offsets("R18's projection, FP16", {4, 300, 256, 96, 192, I, H});
    offsets("ragged projection", {3, 7, 100, 10, 21, I, F});
    offsets("floats quantised on the way", {2, 50, 64, 16, 32, F, F});
    if (kHasBfloat16) {
        attention("BF16", {1, 50, 8, 32, maps, {4, 4, 4}, false, kBfloat16, F});
        offsets("BF16 outputs", {1, 50, 64, 16, 32, I, kBfloat16});
    }
    return all;
}

bool same(Dims const& a, Dims const& b) {
    return a.nbDims == b.nbDims && std::equal(a.d, a.d + a.nbDims, b.d);
}

void prove_answers(std::string const& name, Subject& subject, Case const& given) {
    auto const shapes = subject.shapes(given.inputs);
    expect(shapes.size() == given.outputs.size(), name + ": number of outputs");
    for (size_t i = 0; i < shapes.size(); ++i) {
        expect(same(shapes[i], given.outputs[i].dims), name + ": shape of output " + std::to_string(i));
    }
    auto all = descriptions(given.inputs);
    for (auto const& one : descriptions(given.outputs)) all.push_back(one);
    int const inputs = static_cast<int>(given.inputs.size());
    for (int position = 0; position < static_cast<int>(all.size()); ++position) {
        expect(subject.supports(position, all, inputs), name + ": takes tensor " + std::to_string(position));
        auto other = all;
        other[position].format = TensorFormat::kCHW4;
        expect(!subject.supports(position, other, inputs), name + ": refuses another format");
        other = all;
        other[position].type = DataType::kINT32;
        expect(!subject.supports(position, other, inputs), name + ": refuses integers");
    }
    auto again = subject.loaded();
    expect(again && again->serialised() == subject.serialised() && !subject.serialised().empty(), name + ": serialisation");
}

/// Leave a field out, or put another in its place: no plugin may come of it.
template <typename... Value>
void prove_refused(
    std::string const& library, std::string const& tensorrt, Case given, char const* field, Value const&... value) {
    given.attributes.drop(field);
    (given.attributes.add(field, value), ...);
    auto const made = subject_of(creator_of(library, tensorrt, given.plugin.c_str()), given.attributes.collection());
    expect(!made, given.plugin + ": refuses a wrong " + field);
}

void prove_refusals(std::string const& library, std::string const& tensorrt) {
    auto attention = [&](char const* field, auto const&... value) {
        AttentionShape const shape{1, 2, 2, 4, {2, 2}, {3}, false, DataType::kFLOAT, DataType::kFLOAT};
        prove_refused(library, tensorrt, attention_case(shape, 0), field, value...);
    };
    auto offsets = [&](char const* field, auto const&... value) {
        OffsetsShape const shape{1, 2, 16, 4, 8, DataType::kINT8, DataType::kFLOAT};
        prove_refused(library, tensorrt, offsets_case(shape, 0), field, value...);
    };
    attention("heads");
    attention("heads", std::vector<float>{2.0F});
    attention("shapes", std::vector<int32_t>{2, 2, 2});
    attention("points", std::vector<int32_t>{-1});
    offsets("input_scale", std::vector<float>{0.0F});
    offsets("sp_weight_offset", std::vector<int8_t>{0, 0, 0, 0, 0, 1, 0, 0});
    offsets("sp_weight_scale", std::vector<float>(7, 1.0F));
    offsets("int8_sp_weight", std::vector<int8_t>(8 * 15, 1));
}

} // namespace

int main(int count, char** arguments) {
    std::string library, tensorrt;
    bool gpu = false;
    for (int i = 1; i < count; ++i) {
        std::string const word = arguments[i];
        if (word == "--gpu") gpu = true;
        else if (word == "--registry" && i + 1 < count) tensorrt = arguments[++i];
        else library = word;
    }
    try {
        for (auto const& [name, given] : cases()) {
            Creator& creator = creator_of(library, tensorrt, given.plugin.c_str());
            expect(creator.getFieldNames()->nbFields > 0, name + ": names its fields");
            auto const subject = subject_of(creator, given.attributes.collection());
            expect(subject != nullptr, name + ": is created");
            if (!subject) continue;
            prove_answers(name, *subject, given);
            if (gpu) {
                for (std::string const& wrong : run_on_gpu(*subject, given)) expect(false, name + ": " + wrong);
                std::printf("ran: %s\n", name.c_str());
            }
        }
        std::printf("what follows is refused, and says why:\n");
        std::fflush(stdout);
        prove_refusals(library, tensorrt);
    } catch (std::exception const& error) {
        expect(false, error.what());
    }
    std::printf("%d checks, %d failed, %s, TensorRT %d.%d headers\n", checks, failures, gpu ? "on the GPU" : "on the CPU",
        NV_TENSORRT_MAJOR, NV_TENSORRT_MINOR);
    return failures == 0 ? 0 : 1;
}
