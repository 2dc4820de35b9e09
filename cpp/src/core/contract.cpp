#include "detrt/contract.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/text.hpp"
#include "detrt/error.hpp"

namespace detrt {
namespace {

using json = nlohmann::ordered_json;

constexpr const char* kContractFormat = "1";
constexpr const char* kPrefix = "detrt.";

ContractError not_one_of(const std::string& what, const std::string& value, const std::string& accepted) {
    return {"The " + what + " is '" + value + "'.", "Use one of: " + accepted + "."};
}

bool letterboxes(const std::string& mode) {
    if (mode != "stretch" && mode != "letterbox") throw not_one_of("resize mode", mode, "stretch, letterbox");
    return mode == "letterbox";
}

OutputForm form_named(const std::string& form) {
    if (form != "detections" && form != "raw") throw not_one_of("output form", form, "detections, raw");
    return form == "raw" ? OutputForm::raw : OutputForm::detections;
}

bool is_bgr(const std::string& color) {
    if (color != "RGB" && color != "BGR") throw not_one_of("colour order", color, "RGB, BGR");
    return color == "BGR";
}

std::vector<std::string> roles(OutputForm form) {
    if (form == OutputForm::raw) return {"logits", "boxes"};
    return {"labels", "boxes", "scores"};
}

// A field of the contract, which is a JSON text of its own; null where the file has none.
json field(const Metadata& metadata, const std::string& name) {
    const auto found = metadata.find(kPrefix + name);
    return found == metadata.end() ? json() : json::parse(found->second);
}

template <typename Value>
void read(const json& value, Value& into) {
    if (!value.is_null()) into = value.get<Value>();
}

ModelContract read_contract(const Metadata& metadata) {
    ModelContract contract;
    const auto size = field(metadata, "input_size").get<std::array<int, 2>>();
    contract.input_size = {size[0], size[1]};
    read(field(metadata, "input_name"), contract.input_name);
    if (const json form = field(metadata, "output_form"); !form.is_null())
        contract.output_form = form_named(form.get<std::string>());
    read(field(metadata, "outputs"), contract.outputs);
    if (metadata.count(std::string(kPrefix) + "sizes_name")) {
        const json name = field(metadata, "sizes_name");
        contract.sizes_name = name.is_null() ? std::nullopt : std::optional(name.get<std::string>());
    }
    if (const json rule = field(metadata, "resize"); rule.is_object()) {
        contract.resize.letterbox = letterboxes(rule.value("mode", "stretch"));
        contract.resize.antialias = rule.value("antialias", true);
        contract.resize.pad = rule.value("pad", 114);
    }
    if (const json color = field(metadata, "color"); !color.is_null()) contract.bgr = is_bgr(color.get<std::string>());
    read(field(metadata, "scale"), contract.scale);
    read(field(metadata, "mean"), contract.mean);
    read(field(metadata, "std"), contract.deviation);
    read(field(metadata, "class_names"), contract.class_names);
    read(field(metadata, "top_k"), contract.top_k);
    read(field(metadata, "family"), contract.family);
    read(field(metadata, "variant"), contract.variant);
    return contract;
}

}  // namespace

std::string TensorSpec::text() const {
    std::vector<std::string> axes;
    for (const auto axis : shape) axes.push_back(axis < 0 ? "N" : std::to_string(axis));
    return name + " " + dtype + " (" + joined(axes, ", ") + ")";
}

std::string ModelContract::name_of(std::int64_t label) const {
    const bool known = label >= 0 && static_cast<std::size_t>(label) < class_names.size();
    return known ? class_names[label] : "class " + std::to_string(label);
}

void ModelContract::check() const {
    if (resize.pad < 0 || resize.pad > 255)
        throw ContractError("The letterbox padding is " + std::to_string(resize.pad) + ".",
                            "Give a grey level from 0 to 255.");
    if (input_size.height < 1 || input_size.width < 1)
        throw ContractError("The input size is " + tuple_text({input_size.height, input_size.width}) + ".",
                            "Give a height and a width of at least 1.");
    if (!std::all_of(deviation.begin(), deviation.end(), [](double value) { return value > 0; })) {
        const auto three = [](const std::array<double, 3>& values) {
            return "(" + number_text(values[0]) + ", " + number_text(values[1]) + ", " + number_text(values[2]) + ")";
        };
        throw ContractError("The mean is " + three(mean) + " and the standard deviation " + three(deviation) + ".",
                            "Give three numbers each, and standard deviations above 0.");
    }
    const auto wanted = roles(output_form);
    const bool named = outputs.size() == wanted.size() &&
                       std::all_of(wanted.begin(), wanted.end(), [&](auto& role) { return outputs.count(role); });
    if (!named) {
        std::vector<std::string> found;
        for (const auto& [role, name] : outputs) found.push_back(role);
        throw ContractError("The outputs of a '" + std::string(output_form == OutputForm::raw ? "raw" : "detections") +
                                "' model are " + joined(wanted, ", ") + ", but the contract names " +
                                (found.empty() ? "none" : joined(found, ", ")) + ".",
                            "Name one tensor for each role.");
    }
}

std::optional<ModelContract> contract_from_metadata(const Metadata& metadata) {
    const auto version = metadata.find(std::string(kPrefix) + "contract");
    if (version == metadata.end()) return std::nullopt;
    if (version->second != kContractFormat)
        throw ContractError(
            "The model's contract has format " + version->second + "; this detrt reads format " + kContractFormat + ".",
            "Update detrt (pip install -U detrt), or export the model again with this version.");
    ModelContract contract;
    try {
        contract = read_contract(metadata);
    } catch (const json::exception& error) {
        throw ContractError("The model's contract cannot be read: " + one_line(error.what()) + ".",
                            "Export the model again; its metadata was edited.");
    }
    if (contract.outputs.empty())
        for (const auto& role : roles(contract.output_form)) contract.outputs[role] = role;
    contract.check();
    return contract;
}

}  // namespace detrt
