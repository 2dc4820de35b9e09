// The contract of a model that carries none; see `detrt.signature` in Python.
#include <algorithm>
#include <functional>

#include "core/text.hpp"
#include "detrt/contract.hpp"
#include "detrt/error.hpp"

namespace detrt {
namespace {

using Specs = std::vector<TensorSpec>;

bool is_one_of(const std::string& name, std::initializer_list<const char*> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

bool starts(const std::string& dtype, std::initializer_list<const char*> starts) {
    return std::any_of(starts.begin(), starts.end(), [&](const char* start) { return dtype.rfind(start, 0) == 0; });
}

bool is_images(const TensorSpec& spec) { return spec.shape.size() == 4 && (spec.shape[1] == 3 || spec.shape[1] < 0); }

bool is_sizes(const TensorSpec& spec) {
    return spec.shape.size() == 2 && (spec.shape[1] == 2 || spec.shape[1] < 0) &&
           is_one_of(spec.dtype, {"int64", "int32"});
}

bool is_boxes(const TensorSpec& spec) {
    const bool named = is_one_of(spec.name, {"boxes", "pred_boxes"});
    if (spec.shape.empty()) return named;
    return spec.shape.size() == 3 && (spec.shape[2] == 4 || (named && spec.shape[2] < 0));
}

bool is_row(const TensorSpec& spec) {
    return spec.shape.size() == 2 || (spec.shape.empty() && is_one_of(spec.name, {"labels", "scores"}));
}

// The one output that fits the role; among several, the one that carries the role's name.
std::string pick(const Specs& outputs, const std::string& role, const std::function<bool(const TensorSpec&)>& fits) {
    std::vector<std::string> fitting;
    for (const auto& spec : outputs)
        if (fits(spec)) fitting.push_back(spec.name);
    for (const auto& name : {role, "pred_" + role})
        if (std::find(fitting.begin(), fitting.end(), name) != fitting.end()) return name;
    return fitting.size() == 1 ? fitting.front() : "";
}

ContractError unserved(const Specs& inputs, const Specs& outputs, const std::string& why) {
    std::vector<std::string> found;
    for (const auto& spec : inputs) found.push_back("  in:  " + spec.text());
    for (const auto& spec : outputs) found.push_back("  out: " + spec.text());
    return {
        "This model's signature is not one that detrt can serve: " + why + ". Found:\n" + joined(found, "\n") + "\n",
        "Accepted: one image input (N, 3, H, W), and either\n"
        "  - an int64 input (N, 2) of sizes, with outputs labels (N, K), boxes (N, K, 4), scores (N, K); or\n"
        "  - outputs logits (N, Q, classes) and boxes (N, Q, 4), where the names tell which is which."};
}

}  // namespace

ModelContract contract_from_signature(const Specs& inputs, const Specs& outputs) {
    Specs images, sizes;
    std::vector<std::string> others;
    for (const auto& spec : inputs) {
        if (is_images(spec))
            images.push_back(spec);
        else if (is_sizes(spec))
            sizes.push_back(spec);
        else
            others.push_back(spec.name);
    }
    if (images.size() != 1)
        throw unserved(inputs, outputs, std::to_string(images.size()) + " inputs look like an image batch");
    if (!others.empty())
        throw unserved(inputs, outputs, "nothing is known to feed the input " + joined(others, ", ") + " with");
    const auto& image = images.front();
    if (image.shape[2] < 0 || image.shape[3] < 0)
        throw ContractError("The input " + image.text() +
                                " leaves height and width open, so the size that it was trained at is unknown.",
                            "Say it: --contract size=HEIGHTxWIDTH");
    ModelContract contract;
    contract.input_name = image.name;
    contract.input_size = {static_cast<int>(image.shape[2]), static_cast<int>(image.shape[3])};

    const auto boxes = pick(outputs, "boxes", is_boxes);
    const auto labels = pick(outputs, "labels", [](auto& spec) {
        return is_row(spec) && starts(spec.dtype, {"int", "uint"});
    });
    const auto scores = pick(outputs, "scores", [](auto& spec) {
        return is_row(spec) && starts(spec.dtype, {"float", "bfloat"});
    });
    const auto logits =
        pick(outputs, "logits", [&](auto& spec) { return spec.shape.size() == 3 && spec.name != boxes; });
    if (sizes.size() == 1 && !boxes.empty() && !labels.empty() && !scores.empty()) {
        contract.sizes_name = sizes.front().name;
        contract.outputs = {{"labels", labels}, {"boxes", boxes}, {"scores", scores}};
        contract.class_names = coco_names();
        return contract;
    }
    if (sizes.empty() && !boxes.empty() && !logits.empty()) {
        contract.output_form = OutputForm::raw;
        contract.sizes_name.reset();
        contract.outputs = {{"logits", logits}, {"boxes", boxes}};
        const auto named =
            std::find_if(outputs.begin(), outputs.end(), [&](auto& spec) { return spec.name == logits; });
        const auto classes = named->shape[2];
        if (classes < 0 || classes == static_cast<std::int64_t>(coco_names().size()))
            contract.class_names = coco_names();
        return contract;
    }
    throw unserved(inputs, outputs, "the outputs are neither detections nor logits and boxes");
}

const std::vector<std::string>& coco_names() {
    static const std::vector<std::string> names = {"person",        "bicycle",      "car",
                                                   "motorcycle",    "airplane",     "bus",
                                                   "train",         "truck",        "boat",
                                                   "traffic light", "fire hydrant", "stop sign",
                                                   "parking meter", "bench",        "bird",
                                                   "cat",           "dog",          "horse",
                                                   "sheep",         "cow",          "elephant",
                                                   "bear",          "zebra",        "giraffe",
                                                   "backpack",      "umbrella",     "handbag",
                                                   "tie",           "suitcase",     "frisbee",
                                                   "skis",          "snowboard",    "sports ball",
                                                   "kite",          "baseball bat", "baseball glove",
                                                   "skateboard",    "surfboard",    "tennis racket",
                                                   "bottle",        "wine glass",   "cup",
                                                   "fork",          "knife",        "spoon",
                                                   "bowl",          "banana",       "apple",
                                                   "sandwich",      "orange",       "broccoli",
                                                   "carrot",        "hot dog",      "pizza",
                                                   "donut",         "cake",         "chair",
                                                   "couch",         "potted plant", "bed",
                                                   "dining table",  "toilet",       "tv",
                                                   "laptop",        "mouse",        "remote",
                                                   "keyboard",      "cell phone",   "microwave",
                                                   "oven",          "toaster",      "sink",
                                                   "refrigerator",  "book",         "clock",
                                                   "vase",          "scissors",     "teddy bear",
                                                   "hair drier",    "toothbrush"};
    return names;
}

}  // namespace detrt
