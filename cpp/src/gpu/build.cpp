#include "detrt/build.hpp"

#include <algorithm>
#include <fstream>
#include <system_error>

#include "core/files.hpp"
#include "core/onnx_file.hpp"
#include "core/sha256.hpp"
#include "core/text.hpp"
#include "detrt/detrt.hpp"
#include "gpu/cuda.hpp"
#include "gpu/log.hpp"

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

// Axis 0 is the batch; every other axis must be known.
Shape fed_shape(const TensorSpec& spec, int batch) {
    Shape shape = spec.shape;
    if (!shape.empty() && shape[0] < 0) shape[0] = batch;
    const auto open = std::find_if(shape.begin(), shape.end(), [](auto axis) { return axis < 0; });
    if (open != shape.end())
        throw UsageError(
            "The input " + spec.text() + " leaves axis " + std::to_string(open - shape.begin()) + " open.",
            "Say the picture's size: --size HEIGHTxWIDTH, or export the model with only its batch dynamic.");
    return shape;
}

trt::Dims dims_of(const Shape& shape) {
    trt::Dims dims{};
    dims.nbDims = static_cast<int>(shape.size());
    for (std::size_t i = 0; i < shape.size(); ++i) dims.d[i] = static_cast<std::decay_t<decltype(dims.d[0])>>(shape[i]);
    return dims;
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

std::string serialized_engine(const std::string& model, const fs::path& path,
                              const std::map<std::string, Profile>& profile, const std::vector<TensorSpec>& inputs) {
    auto& log = the_log();
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
    config->clearFlag(trt::BuilderFlag::kTF32);           // on by default
    auto* shapes = builder->createOptimizationProfile();  // the builder's own
    for (const auto& spec : inputs) {
        if (std::none_of(spec.shape.begin(), spec.shape.end(), [](auto axis) { return axis < 0; })) continue;
        const auto dims = dims_of(profile.at(spec.name)[0]);
        for (const auto which :
             {trt::OptProfileSelector::kMIN, trt::OptProfileSelector::kOPT, trt::OptProfileSelector::kMAX})
            shapes->setDimensions(spec.name.c_str(), which, dims);
    }
    config->addOptimizationProfile(shapes);
    const std::unique_ptr<trt::IHostMemory> made(builder->buildSerializedNetwork(*network, *config));
    if (!made)
        throw EngineError(
            trt::flavour().text() + " cannot build the engine: " + log.gist() + ".",
            "`detrt build -vv` shows all that the builder says. A smaller --batch or --precision fp32 may "
            "help to find the cause.");
    return {static_cast<const char*>(made->data()), made->size()};
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
    const auto serialized = read_model(model);
    const auto file = look_into(serialized, model);
    const auto flavour = trt::flavour();
    const bool is_rtx = flavour.name == "tensorrt_rtx";
    const bool has_gpu = gpu_count() > 0;
    if (!is_rtx && !has_gpu)
        throw EngineError(
            flavour.text() + " needs the GPU that the engine is for, and there is none here.",
            "Build on a machine with that GPU, or build with TensorRT-RTX, which needs none: --flavour tensorrt_rtx.");

    EngineManifest manifest;
    manifest.flavour = flavour.name;
    manifest.version = flavour.version;
    manifest.platform = platform_here();
    if (has_gpu) {
        const auto gpu = gpu_number(0);
        manifest.gpu = gpu.name;
        if (!is_rtx) manifest.compute_capabilities = {gpu.capability};
    }
    manifest.precision = "fp32";
    manifest.precision_note = "as the graph says";
    manifest.inputs = file.inputs;
    manifest.outputs = file.outputs;
    for (const auto& spec : file.inputs) {
        const auto shape = fed_shape(spec, options.batch);
        manifest.profile[spec.name] = {shape, shape, shape};
        if (shape.size() == 4) manifest.batch.fill(shape[0]);
    }
    manifest.metadata = file.metadata;
    manifest.onnx = model.filename().string();
    manifest.onnx_sha256 = sha256_of(serialized.data(), serialized.size());
    manifest.arguments = {"--precision", "fp32", "--flavour", flavour.name};
    if (manifest.batch[0] != 1)
        manifest.arguments.insert(manifest.arguments.end(), {"--batch", std::to_string(manifest.batch[0])});
    manifest.arguments.push_back("--as-exported");
    manifest.detrt = version() + std::string(" (C++)");
    const auto built_by = joined({manifest.onnx_sha256, joined(manifest.arguments, " "), flavour.text(),
                                  is_rtx ? "" : manifest.gpu, manifest.detrt},
                                 "|");
    manifest.fingerprint = sha256_of(built_by.data(), built_by.size());
    manifest.contract();  // a model that detrt cannot serve is refused before it is built
    if (!options.force && up_to_date(engine, manifest)) return manifest_of(engine);

    const auto content = serialized_engine(serialized, model, manifest.profile, file.inputs);
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
