#include "detrt/build.hpp"

#include <fstream>
#include <system_error>

#include "core/files.hpp"
#include "core/onnx_file.hpp"
#include "core/sha256.hpp"
#include "core/text.hpp"
#include "detrt/detrt.hpp"
#include "gpu/cuda.hpp"
#include "gpu/log.hpp"
#include "gpu/tf32.hpp"

namespace detrt {
namespace {

namespace fs = std::filesystem;

std::string read_model(const fs::path& model) {
    if (!fs::is_regular_file(model))
        throw ModelError("There is no model at " + model.string() + ".",
                         "Check the path; `detrt models` lists those known by name.");
    std::ifstream file(model, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

OnnxFile look_into(const std::string& serialized, const fs::path& model) {
    try {
        return onnx_file_from(serialized);
    } catch (const std::runtime_error& error) {
        throw ModelError(model.string() + " (" + grouped(serialized.size()) +
                             " bytes) is not a whole ONNX file: " + error.what() + ".",
                         "Copy or export it again; it may have been cut off on the way.");
    }
}

// Axis 0 is the batch, which is ours to say; every other axis must be known.
void refuse_open_axes(const OnnxFile& file) {
    for (const auto& spec : file.inputs)
        for (std::size_t axis = 1; axis < spec.shape.size(); ++axis)
            if (spec.shape[axis] < 0)
                throw UsageError("The input " + spec.text() + " leaves axis " + std::to_string(axis) + " open.",
                                 "Say the picture's size: --size HEIGHTxWIDTH, or export the model with only its batch "
                                 "dynamic.");
}

// The parser owns constants that the network refers to, so it lives as long.
std::unique_ptr<nvonnxparser::IParser> parse(trt::INetworkDefinition& network, const std::string& serialized,
                                             const fs::path& model) {
    auto parser = trt::make_parser(network, the_log());
    if (parser->parse(serialized.data(), serialized.size(), model.c_str())) return parser;
    std::vector<std::string> reasons;
    for (int i = 0; i < parser->getNbErrors(); ++i) {
        const auto& error = *parser->getError(i);
        reasons.push_back(trt::where(error) + ": " + one_line(error.desc()));
    }
    const auto said = the_log().gist();
    throw EngineError(trt::flavour().text() +
                          "'s ONNX parser refuses the model: " + (reasons.empty() ? said : joined(reasons, "; ")) + ".",
                      "Export it at opset 17 with the operators that TensorRT has.");
}

std::string serialized_engine(const std::string& model, const fs::path& path) {
    auto& log = the_log();
    decide_on_tf32("fp32");
    log.gist();
    const auto builder = trt::make_builder(log);
    const auto network = builder ? trt::make_network(*builder) : nullptr;
    if (!network)
        throw EngineError(
            trt::flavour().text() + " cannot start its builder: " + log.gist() + ".",
            "Its libraries are of another version than the headers that detrt was built with, or there is "
            "no GPU.");
    const auto parser = parse(*network, model, path);
    const std::unique_ptr<trt::IBuilderConfig> config(builder->createBuilderConfig());
    config->clearFlag(trt::BuilderFlag::kTF32);  // on by default
    const std::unique_ptr<trt::IHostMemory> made(builder->buildSerializedNetwork(*network, *config));
    if (!made)
        throw EngineError(
            trt::flavour().text() + " cannot build the engine: " + log.gist() + ".",
            "`detrt build -vv` shows all that the builder says. A smaller --batch or --precision fp32 may "
            "help to find the cause.");
    return {static_cast<const char*>(made->data()), made->size()};
}

// What the engine will be, but for its content; `file` has no open axes among its inputs.
EngineManifest papers_of(const std::string& sha256, const fs::path& path, const OnnxFile& file) {
    EngineManifest papers;
    const auto flavour = trt::flavour();
    const bool is_rtx = trt::is_rtx();
    papers.flavour = flavour.name;
    papers.version = flavour.version;
    papers.platform = platform_here();
    if (gpu_count() > 0) {
        const auto gpu = gpu_number(0);
        papers.gpu = gpu.name;
        if (!is_rtx) papers.compute_capabilities = {gpu.capability};
    } else if (!is_rtx) {
        throw EngineError(flavour.text() + " needs the GPU that the engine is for, and there is none here.",
                          "Build on a machine with that GPU, or build with TensorRT-RTX, which needs none: --flavour "
                          "tensorrt_rtx.");
    }
    papers.precision = "fp32";
    papers.precision_note = "as the graph says";
    papers.inputs = file.inputs;
    papers.outputs = file.outputs;
    for (const auto& spec : file.inputs) {
        papers.profile[spec.name] = {spec.shape, spec.shape, spec.shape};
        if (spec.shape.size() == 4) papers.batch.fill(spec.shape[0]);
    }
    papers.metadata = file.metadata;
    papers.onnx = path.filename().string();
    papers.onnx_sha256 = sha256;
    papers.arguments = {"--precision", "fp32", "--flavour", flavour.name};
    if (papers.batch[0] != 1)
        papers.arguments.insert(papers.arguments.end(), {"--batch", std::to_string(papers.batch[0])});
    papers.arguments.push_back("--as-exported");
    papers.detrt = version() + std::string(" (C++)");
    const auto built_by = joined(
        {papers.onnx_sha256, joined(papers.arguments, " "), flavour.text(), is_rtx ? "" : papers.gpu, papers.detrt},
        "|");
    papers.fingerprint = sha256_of(built_by.data(), built_by.size());
    return papers;
}

bool up_to_date(const fs::path& engine, const EngineManifest& wanted) {
    try {
        const auto there = manifest_of(engine);
        if (there.fingerprint != wanted.fingerprint) return false;
        whole_engine(engine, there);
        return true;
    } catch (const EngineError&) {
        return false;
    }
}

}  // namespace

EngineManifest build_engine(const fs::path& model, const fs::path& engine, const BuildOptions& options) {
    if (engine.extension() != ".engine")
        throw UsageError("The engine would be called " + engine.filename().string() + ".",
                         "Call it " + engine.stem().string() + ".engine: detrt opens by suffix.");
    const auto original = read_model(model);
    const auto file = look_into(original, model);
    refuse_open_axes(file);
    const auto fixed = with_batch(original, options.batch);
    auto manifest = papers_of(sha256_of_model(model, original, file), model, look_into(fixed, model));
    manifest.contract();  // a model that detrt cannot serve is refused before it is built
    if (!options.force && up_to_date(engine, manifest)) return manifest_of(engine);

    const auto content = serialized_engine(fixed, model);
    manifest.engine_sha256 = sha256_of(content.data(), content.size());
    manifest.engine_bytes = static_cast<std::int64_t>(content.size());
    try {
        write_whole(engine, content);  // engine first: until the manifest is there too, the old one's hash does not fit
        manifest.save(engine);
    } catch (const std::system_error& error) {
        throw EngineError("The engine " + engine.string() + " cannot be written: " + error.code().message() + ".",
                          "Give another --keep FILE.");
    }
    return manifest;
}

}  // namespace detrt
