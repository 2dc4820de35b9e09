#include "detrt/manifest.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/files.hpp"
#include "core/fit.hpp"
#include "core/text.hpp"
#include "core/versions.hpp"
#include "detrt/error.hpp"

namespace detrt {
namespace {

using json = nlohmann::ordered_json;

constexpr int kManifestFormat = 1;  // raised when an old reader would misread a new manifest
constexpr const char* kOldestPortable = "8.0";

Shape axes_of(const json& shape) {
    Shape axes;
    for (const auto& axis : shape) axes.push_back(axis.is_null() ? -1 : axis.get<std::int64_t>());
    return axes;
}

json axes_to(const Shape& shape) {
    json axes = json::array();
    for (const auto axis : shape) axes.push_back(axis < 0 ? json() : json(axis));
    return axes;
}

std::vector<TensorSpec> specs_of(const json& specs) {
    std::vector<TensorSpec> found;
    for (const auto& spec : specs)
        found.push_back(
            {spec.at("name").get<std::string>(), axes_of(spec.at("shape")), spec.at("dtype").get<std::string>()});
    return found;
}

json specs_to(const std::vector<TensorSpec>& specs) {
    json made = json::array();
    for (const auto& spec : specs)
        made.push_back({{"name", spec.name}, {"shape", axes_to(spec.shape)}, {"dtype", spec.dtype}});
    return made;
}

void refuse_other_axes(const TensorSpec& spec, const Profile& profile) {
    for (const auto& shape : profile)
        if (shape.size() != spec.shape.size() || std::any_of(shape.begin(), shape.end(), [](auto n) { return n < 1; }))
            throw std::invalid_argument("the profile of " + spec.name + " is " + tuple_text(shape));
}

EngineManifest manifest_from(const json& values) {
    EngineManifest manifest;
    const auto read = [&](const char* name, auto& into) { values.at(name).get_to(into); };
    read("flavour", manifest.flavour);
    if (manifest.flavour != "tensorrt" && manifest.flavour != "tensorrt_rtx")
        throw std::invalid_argument("'" + manifest.flavour + "' is no TensorRT");
    read("version", manifest.version);
    read("platform", manifest.platform);
    read("compute_capabilities", manifest.compute_capabilities);
    read("hardware", manifest.hardware);
    read("version_compatible", manifest.version_compatible);
    read("gpu", manifest.gpu);
    read("precision", manifest.precision);
    read("precision_note", manifest.precision_note);
    read("batch", manifest.batch);
    for (const auto& [name, shapes] : values.at("profile").items())
        manifest.profile[name] = {axes_of(shapes.at(0)), axes_of(shapes.at(1)), axes_of(shapes.at(2))};
    manifest.inputs = specs_of(values.at("inputs"));
    manifest.outputs = specs_of(values.at("outputs"));
    for (const auto& spec : manifest.inputs) refuse_other_axes(spec, manifest.profile.at(spec.name));
    read("metadata", manifest.metadata);
    for (const auto& one : values.at("plugins"))
        manifest.plugins.push_back({one.at("path").get<std::string>(), one.at("sha256").get<std::string>()});
    read("onnx", manifest.onnx);
    read("onnx_sha256", manifest.onnx_sha256);
    read("arguments", manifest.arguments);
    read("fingerprint", manifest.fingerprint);
    read("layers", manifest.layers);
    read("detrt", manifest.detrt);
    read("engine_sha256", manifest.engine_sha256);
    read("engine_bytes", manifest.engine_bytes);
    manifest.rewrites = values.value("rewrites", std::vector<std::string>());
    return manifest;
}

}  // namespace

std::string EngineManifest::needs() const {
    const auto oldest = oldest_capability();
    const auto capability = oldest ? *oldest + " or later" : joined(compute_capabilities, " or ");
    return Flavour{flavour, version}.text() + " on " + platform + ", compute capability " + capability;
}

std::optional<std::string> EngineManifest::oldest_capability() const {
    if (hardware == "ampere+") return kOldestPortable;
    if (flavour != "tensorrt_rtx") return std::nullopt;
    const auto oldest =
        std::min_element(compute_capabilities.begin(), compute_capabilities.end(),
                         [](auto& one, auto& other) { return version_numbers(one) < version_numbers(other); });
    return oldest == compute_capabilities.end() ? kOldestPortable : *oldest;
}

std::string EngineManifest::rebuild_command(const std::filesystem::path& engine) const {
    std::vector<std::string> words = {"detrt", "build", onnx, "-o", engine.string()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    for (auto& word : words) word = shell_word(word);
    return joined(words, " ");
}

ModelContract EngineManifest::contract() const {
    const auto found = contract_from_metadata(metadata);
    const auto contract = found ? *found : contract_from_signature(inputs, outputs);
    refuse_misfit(contract, inputs, outputs);
    return contract;
}

void EngineManifest::save(const std::filesystem::path& engine) const {
    json shapes = json::object(), libraries = json::array();
    for (const auto& [name, three] : profile) shapes[name] = {axes_to(three[0]), axes_to(three[1]), axes_to(three[2])};
    for (const auto& plugin : plugins) libraries.push_back({{"path", plugin.path}, {"sha256", plugin.sha256}});
    const json values = {{"format", kManifestFormat},
                         {"flavour", flavour},
                         {"version", version},
                         {"platform", platform},
                         {"compute_capabilities", compute_capabilities},
                         {"hardware", hardware},
                         {"version_compatible", version_compatible},
                         {"gpu", gpu},
                         {"precision", precision},
                         {"precision_note", precision_note},
                         {"batch", batch},
                         {"profile", shapes},
                         {"inputs", specs_to(inputs)},
                         {"outputs", specs_to(outputs)},
                         {"metadata", metadata},
                         {"plugins", libraries},
                         {"onnx", onnx},
                         {"onnx_sha256", onnx_sha256},
                         {"arguments", arguments},
                         {"fingerprint", fingerprint},
                         {"layers", layers},
                         {"detrt", detrt},
                         {"engine_sha256", engine_sha256},
                         {"engine_bytes", engine_bytes},
                         {"rewrites", rewrites}};
    write_whole(manifest_path(engine), values.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

std::filesystem::path manifest_path(const std::filesystem::path& engine) { return engine.string() + ".json"; }

EngineManifest manifest_of(const std::filesystem::path& engine) {
    const auto path = manifest_path(engine);
    const auto name = engine.filename().string();
    const auto rebuild = "Build the engine again: detrt build MODEL.onnx -o " + name;
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (errno == ENOENT)
        throw EngineError(name + " has no manifest: " + path.filename().string() +
                              " is not beside it, so what the engine needs is unknown.",
                          "Copy the manifest together with the engine. If there never was one: " + rebuild);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (errno != 0)
        throw EngineError("The manifest " + path.string() + " cannot be read: " + std::strerror(errno) + ".", rebuild);
    try {
        const json values = json::parse(text);
        const int found = values.at("format").get<int>();
        if (found != kManifestFormat)
            throw EngineError("The manifest " + path.string() + " has format " + std::to_string(found) +
                                  "; this detrt reads format " + std::to_string(kManifestFormat) + ".",
                              "Update detrt (pip install -U detrt). Or: " + rebuild);
        return manifest_from(values);
    } catch (const EngineError&) {
        throw;
    } catch (const std::exception& error) {
        throw EngineError("The manifest " + path.string() + " is damaged: " + one_line(error.what()) + ".", rebuild);
    }
}

}  // namespace detrt
