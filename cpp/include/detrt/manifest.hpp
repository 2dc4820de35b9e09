// What an engine is and needs: the JSON beside it (`model.engine.json`), and whether it may run here.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "detrt/contract.hpp"

namespace detrt {

struct PluginLibrary {
    std::string path;  // from the engine's folder, or absolute
    std::string sha256;
};

// Least, usual and greatest shape of an input.
using Shape = std::vector<std::int64_t>;
using Profile = std::array<Shape, 3>;

// The engine's papers; see `detrt.engine.manifest` in Python, which reads and writes the same file.
struct EngineManifest {
    std::string flavour;  // tensorrt or tensorrt_rtx
    std::string version;  // of the TensorRT that built it
    std::string platform;
    std::vector<std::string> compute_capabilities;
    std::string hardware = "none";
    bool version_compatible = false;
    std::string gpu;
    std::string precision, precision_note;
    std::array<std::int64_t, 3> batch{1, 1, 1};
    std::map<std::string, Profile> profile;
    std::vector<TensorSpec> inputs, outputs;
    Metadata metadata;
    std::vector<PluginLibrary> plugins;
    std::string onnx, onnx_sha256;
    std::vector<std::string> arguments;
    std::string fingerprint;
    std::map<std::string, std::int64_t> layers;
    std::string detrt;
    std::string engine_sha256;
    std::int64_t engine_bytes = 0;
    std::vector<std::string> rewrites;

    // For people: `TensorRT-RTX 1.6.1.120 on linux-x86_64, compute capability 8.0 or later`.
    std::string needs() const;

    // The oldest GPU that runs it, where later ones do too; none where only those that it was built for do.
    std::optional<std::string> oldest_capability() const;

    // The `detrt build` command that makes this engine anew.
    std::string rebuild_command(const std::filesystem::path& engine) const;

    // The contract that travelled with the model, else the one that its tensors allow. A ContractError where it is not
    // of a model with these tensors.
    ModelContract contract() const;

    // Writes the JSON beside the engine, whole or not at all.
    void save(const std::filesystem::path& engine) const;
};

// `model.engine` -> `model.engine.json`.
std::filesystem::path manifest_path(const std::filesystem::path& engine);

// Reads the manifest beside an engine. An EngineError where there is none, or it is damaged or newer.
EngineManifest manifest_of(const std::filesystem::path& engine);

// The TensorRT of a program: `tensorrt_rtx`, `1.6.1.120`.
struct Flavour {
    std::string name, version;

    // For example `TensorRT-RTX 1.6.1.120`.
    std::string text() const;
};

// The engine's bytes, if they are those that the manifest describes; else an EngineError.
std::vector<char> whole_engine(const std::filesystem::path& engine, const EngineManifest& manifest);

// An EngineError where the engine is for another platform.
void refuse_other_platform(const EngineManifest& manifest, const std::filesystem::path& engine);

// An EngineError where the engine is for another TensorRT than `here`.
void refuse_other_flavour(const EngineManifest& manifest, const std::filesystem::path& engine, const Flavour& here);

// An EngineError where the engine was not built for a GPU like this one; `capability` is `9.0`.
void refuse_foreign_gpu(const EngineManifest& manifest, const std::filesystem::path& engine, const std::string& name,
                        const std::string& capability);

// The plugin libraries of an engine, where the manifest says or beside the engine; an EngineError where one is not
// there, or is another one.
std::vector<std::filesystem::path> plugin_libraries(const EngineManifest& manifest,
                                                    const std::filesystem::path& engine);

// Operating system and processor, as manifests name them: `linux-x86_64`.
std::string platform_here();

}  // namespace detrt
