// May this engine run here? Answered before TensorRT sees a byte of it, whose reader trusts what it is given.
#include <sys/utsname.h>

#include <cctype>
#include <cstring>
#include <fstream>

#include "core/sha256.hpp"
#include "core/text.hpp"
#include "core/versions.hpp"
#include "detrt/error.hpp"
#include "detrt/manifest.hpp"

namespace detrt {
namespace {

namespace fs = std::filesystem;

EngineError elsewhere(const EngineManifest& manifest, const fs::path& engine, const std::string& found) {
    return {engine.filename().string() + " needs " + manifest.needs() + ", but " + found + ".",
            "Build it for this machine: " + manifest.rebuild_command(engine)};
}

std::string title_of(const std::string& flavour) { return flavour == "tensorrt_rtx" ? "TensorRT-RTX" : "TensorRT"; }

std::vector<char> content_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    std::vector<char> data(file ? static_cast<std::size_t>(file.tellg()) : 0);
    if (!file || !file.seekg(0).read(data.data(), static_cast<std::streamsize>(data.size())))
        throw EngineError("The engine " + path.string() + " cannot be read: [Errno " + std::to_string(errno) + "] " +
                              std::strerror(errno) + ": '" + path.string() + "'.",
                          "Check the path and its permissions.");
    return data;
}

fs::path found_plugin(const PluginLibrary& plugin, const fs::path& folder, const std::string& rebuild) {
    const fs::path places[] = {folder / plugin.path, folder / fs::path(plugin.path).filename()};
    fs::path other;
    std::string digest;
    for (const auto& place : places) {
        if (!fs::is_regular_file(place)) continue;
        const auto data = content_of(place);
        const auto found = sha256_of(data.data(), data.size());
        if (found == plugin.sha256) return place;
        if (other.empty()) other = place, digest = found;
    }
    if (other.empty())
        throw EngineError("The engine needs the plugin library " + fs::path(plugin.path).filename().string() +
                              ", which is neither at " + places[0].string() + " nor at " + places[1].string() + ".",
                          "Copy it beside the engine, or build the engine again: " + rebuild);
    throw EngineError("The plugin library " + other.string() +
                          " is not the one that the engine was built with (SHA-256 " + digest.substr(0, 12) + ", not " +
                          plugin.sha256.substr(0, 12) + ").",
                      "Build the engine again: " + rebuild);
}

}  // namespace

std::string Flavour::text() const { return title_of(name) + " " + version; }

std::vector<char> whole_engine(const fs::path& engine, const EngineManifest& manifest) {
    auto data = content_of(engine);
    std::string problem;
    if (static_cast<std::int64_t>(data.size()) != manifest.engine_bytes)
        problem = engine.string() + " has " + grouped(data.size()) + " bytes, but its manifest says " +
                  grouped(static_cast<std::uint64_t>(manifest.engine_bytes));
    else if (sha256_of(data.data(), data.size()) != manifest.engine_sha256)
        problem = engine.string() + " is not the engine that its manifest describes: their SHA-256 differ";
    else
        return data;
    throw EngineError(problem + ". It was cut off, damaged, or mixed up with another file.",
                      "Copy both files again, or build the engine again: " + manifest.rebuild_command(engine));
}

void refuse_other_platform(const EngineManifest& manifest, const fs::path& engine) {
    if (manifest.platform != platform_here()) throw elsewhere(manifest, engine, "this is " + platform_here());
}

void refuse_other_flavour(const EngineManifest& manifest, const fs::path& engine, const Flavour& here) {
    if (manifest.flavour != here.name) throw elsewhere(manifest, engine, "this program is made with " + here.text());
    const auto built = version_numbers(manifest.version), found = version_numbers(here.version);
    const bool later_is_fine = manifest.version_compatible && built[0] == found[0] && built <= found;
    if (built != found && !later_is_fine)
        throw elsewhere(manifest, engine, title_of(here.name) + " here is " + here.version);
}

void refuse_foreign_gpu(const EngineManifest& manifest, const fs::path& engine, const std::string& name,
                        const std::string& capability) {
    bool fits = false;
    if (const auto oldest = manifest.oldest_capability())
        fits = version_numbers(capability) >= version_numbers(*oldest);
    else
        for (const auto& built : manifest.compute_capabilities) fits = fits || built == capability;
    if (!fits) throw elsewhere(manifest, engine, "the GPU here is " + name + " with compute capability " + capability);
}

std::vector<fs::path> plugin_libraries(const EngineManifest& manifest, const fs::path& engine) {
    std::vector<fs::path> found;
    const auto folder = fs::weakly_canonical(engine).parent_path();
    for (const auto& plugin : manifest.plugins)
        found.push_back(found_plugin(plugin, folder, manifest.rebuild_command(engine)));
    return found;
}

std::string platform_here() {
    utsname told{};
    ::uname(&told);
    return lower(told.sysname) + "-" + lower(told.machine);
}

std::vector<int> version_numbers(const std::string& version) {
    std::vector<int> numbers;
    for (std::size_t at = 0; at <= version.size();) {
        const auto end = std::min(version.find('.', at), version.size());
        const auto part = version.substr(at, end - at);
        if (!part.empty() && part.find_first_not_of("0123456789") == std::string::npos)
            numbers.push_back(std::stoi(part));
        at = end + 1;
    }
    return numbers;
}

}  // namespace detrt
