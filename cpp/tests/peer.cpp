// Answers questions that tests ask Python as well: one JSON object a line on standard input, one a line back.
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/decoding.hpp"
#include "core/onnx_file.hpp"
#include "core/results.hpp"
#include "core/run_out.hpp"
#include "core/sha256.hpp"
#include "core/text.hpp"
#include "detrt/error.hpp"
#include "detrt/images.hpp"
#include "detrt/manifest.hpp"
#include "timings.hpp"

namespace detrt {
namespace {

using json = nlohmann::json;

json told(const std::vector<TensorSpec>& specs) {
    json all = json::array();
    for (const auto& spec : specs) all.push_back({spec.name, spec.shape, spec.dtype});
    return all;
}

json told(const ModelContract& contract) {
    return {{"input_size", {contract.input_size.height, contract.input_size.width}},
            {"input_name", contract.input_name},
            {"output_form", contract.output_form == OutputForm::raw ? "raw" : "detections"},
            {"outputs", contract.outputs},
            {"sizes_name", contract.sizes_name ? json(*contract.sizes_name) : json()},
            {"resize",
             {contract.resize.letterbox ? "letterbox" : "stretch", contract.resize.antialias, contract.resize.pad}},
            {"color", contract.bgr ? "BGR" : "RGB"},
            {"scale", contract.scale},
            {"mean", contract.mean},
            {"std", contract.deviation},
            {"class_names", contract.class_names},
            {"top_k", contract.top_k},
            {"family", contract.family},
            {"variant", contract.variant}};
}

std::vector<TensorSpec> specs_of(const json& specs) {
    std::vector<TensorSpec> all;
    for (const auto& spec : specs) all.push_back({spec[0], spec[1], spec[2]});
    return all;
}

Pixels pixels_of(const json& asked) {
    Pixels photo({asked.at("height"), asked.at("width")});
    std::ifstream(asked.at("pixels").get<std::string>(), std::ios::binary)
        .read(reinterpret_cast<char*>(photo.data.data()), std::streamsize(photo.data.size()));
    return photo;
}

ResizeRule rule_of(const json& asked) { return {asked.at("letterbox"), asked.at("antialias"), asked.at("pad")}; }

json told(const Pixels& photo, const std::string& into) {
    std::ofstream(into, std::ios::binary)
        .write(reinterpret_cast<const char*>(photo.data.data()), std::streamsize(photo.data.size()));
    return {photo.size.height, photo.size.width};
}

std::vector<Placement> placements_of(const json& asked, const ModelContract& contract) {
    std::vector<Placement> all;
    for (const auto& size : asked) all.push_back(place({size[0], size[1]}, contract.input_size, contract.resize));
    return all;
}

json decoded(const json& asked) {
    const auto contract = *contract_from_metadata(asked.at("metadata"));
    std::map<std::string, HostTensor> outputs;
    std::vector<Bytes> held;
    held.reserve(asked.at("outputs").size());
    for (const auto& [name, one] : asked.at("outputs").items()) {
        held.push_back(read_bytes(one[0].get<std::string>()));
        outputs[name] = {held.back().data(), one[1], one[2]};
    }
    json lines = json::array();
    const auto placements = placements_of(asked.at("photos"), contract);
    const auto found = decode(contract, outputs, placements);
    for (std::size_t i = 0; i < found.size(); ++i)
        lines.push_back(json_line("photo", placements[i].photo, found[i], contract));
    return lines;
}

// A benchmark's report of one row, as its text.
std::string reported(const json& asked) {
    program::Subject subject{"m.engine", "TensorRT, C++", "fp16", "cuda:0", "engine"};
    subject.batch = asked.at("batch");
    subject.streams = asked.at("streams");
    std::vector<program::Round> rounds;
    for (const auto& round : asked.at("rounds")) rounds.push_back({round[0], round[1]});
    program::Report report;
    report.rows = {program::timings_from(subject, rounds, asked.at("clocks"), 7, false)};
    report.machine = {{{"cpu", "a CPU"}}, {{"detrt", "0"}}};
    report.photos = "made";
    report.time = "2026-11-22T00:00:00+00:00";
    report.command = {"detrt-run"};
    return program::json_of(report);
}

// Writes a file together with its run-out; whether there is one.
bool run_out(const Bytes& file, const std::string& into) {
    const auto header = jpeg_header_of(file);
    const auto found = header ? run_out_of(file, *header) : std::nullopt;
    if (!found) return false;
    Bytes made(found->bytes(file));
    found->write(file, made.data());
    std::ofstream(into, std::ios::binary)
        .write(reinterpret_cast<const char*>(made.data()), std::streamsize(made.size()));
    return true;
}

json answer(const json& asked) {
    const std::string ask = asked.at("ask");
    if (ask == "contract") return told(contract_from_metadata(asked.at("metadata")).value());
    if (ask == "signature")
        return told(contract_from_signature(specs_of(asked.at("inputs")), specs_of(asked.at("outputs"))));
    if (ask == "decode") return decoded(asked);
    if (ask == "report") return reported(asked);
    if (ask == "line of error") {
        const auto text = [&](const char* key) {
            const auto bytes = asked.at(key).get<Bytes>();
            return std::string(bytes.begin(), bytes.end());
        };
        return json_error_line(text("name"), text("error"));
    }
    if (ask == "resize") {
        const auto photo = pixels_of(asked);
        const auto rule = rule_of(asked);
        return told(resize(photo, place(photo.size, {asked.at("to")[0], asked.at("to")[1]}, rule), rule),
                    asked.at("into"));
    }
    const std::string path = asked.at("path");
    if (ask == "photo") return told(decode_photo(read_bytes(path), path, asked.at("upright")), asked.at("into"));
    if (ask == "run-out") return run_out(read_bytes(path), asked.at("into"));
    if (ask == "find") {
        json all = json::array();
        for (const auto& photo : find_photos({path})) all.push_back(photo.string());
        return all;
    }
    if (ask == "onnx") {
        const auto data = read_bytes(path);
        const std::string_view model(reinterpret_cast<const char*>(data.data()), data.size());
        const auto file = onnx_file_from(model);
        return {{"inputs", told(file.inputs)},
                {"outputs", told(file.outputs)},
                {"metadata", file.metadata},
                {"sha256", sha256_of_model(path, model, file)}};
    }
    if (ask == "sha256") {
        const auto data = read_bytes(path);
        return sha256_of(data.data(), data.size());
    }
    auto manifest = manifest_of(path);
    if (ask == "manifest")
        return {{"needs", manifest.needs()},
                {"rebuild", manifest.rebuild_command(path)},
                {"contract", told(manifest.contract())}};
    if (ask == "engine") return whole_engine(path, manifest).size();
    if (ask == "gpu") return refuse_foreign_gpu(manifest, path, asked.at("name"), asked.at("capability")), true;
    if (ask == "plugins") return plugin_libraries(manifest, path).size();
    if (ask == "save") return manifest.save(asked.at("into").get<std::string>()), true;
    throw std::invalid_argument("nobody knows the answer to " + ask);
}

}  // namespace
}  // namespace detrt

int main() {
    using nlohmann::json;
    for (std::string line; std::getline(std::cin, line);) {
        json reply;
        try {
            reply["answer"] = detrt::answer(json::parse(line));
        } catch (const detrt::Error& error) {
            reply["problem"] = error.problem();
            reply["remedy"] = error.remedy();
        } catch (const std::exception& error) {
            reply["fault"] = error.what();
        }
        std::cout << reply.dump(-1, ' ', false, json::error_handler_t::replace) << std::endl;
    }
}
