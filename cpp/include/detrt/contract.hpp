// What a model expects and returns, as it travels inside the model file. See `detrt.contract` in Python, which writes
// it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace detrt {

// Text by key: an ONNX file's `metadata_props`, as an engine's manifest keeps it.
using Metadata = std::map<std::string, std::string>;

struct Size {
    int height = 0, width = 0;
};

inline bool operator==(Size one, Size other) { return one.height == other.height && one.width == other.width; }
inline bool operator!=(Size one, Size other) { return !(one == other); }

// Name, shape and dtype of a tensor. A dynamic axis is -1; the dtype is NumPy's name for it.
struct TensorSpec {
    std::string name;
    std::vector<std::int64_t> shape;
    std::string dtype;

    // For example `images float32 (N, 3, 640, 640)`.
    std::string text() const;
};

enum class OutputForm {
    detections,  // labels (N, K), boxes (N, K, 4) in original pixels, scores (N, K); sizes (N, 2) go in as width,
                 // height
    raw,         // logits (N, queries, classes) before the sigmoid, boxes (N, queries, 4) as cx, cy, w, h in 0..1
};

// How a photo of any size becomes the network's input size: bilinear, with Pillow's antialiasing or without.
struct ResizeRule {
    bool letterbox = false;  // keep the aspect ratio and fill the rest with `pad`
    bool antialias = true;
    int pad = 114;
};

// Everything between pixels and boxes that the weights do not say.
struct ModelContract {
    Size input_size;
    std::string input_name = "images";
    OutputForm output_form = OutputForm::detections;
    std::map<std::string, std::string> outputs;  // role (labels, boxes, scores, or logits, boxes) to tensor
    std::optional<std::string> sizes_name = "orig_target_sizes";
    ResizeRule resize;
    bool bgr = false;
    double scale = 1.0 / 255;  // the input is (pixel * scale - mean) / deviation, by channel
    std::array<double, 3> mean{0, 0, 0}, deviation{1, 1, 1};
    std::vector<std::string> class_names;  // by label; empty where nobody knows them
    int top_k = 300;                       // rows that a raw model's decoding keeps
    std::string family = "unknown", variant = "unknown";

    // The tensor that plays a role.
    const std::string& output(const std::string& role) const { return outputs.at(role); }

    // Class name of a label; `class 7` where the contract has none for it.
    std::string name_of(std::int64_t label) const;

    // A ContractError where a value cannot be.
    void check() const;
};

// The contract in an artefact's metadata; none where it carries none. A ContractError where it is damaged or newer.
std::optional<ModelContract> contract_from_metadata(const Metadata& metadata);

// The contract of a foreign model, from its tensors alone: what they cannot say takes the family's convention.
// A ContractError lists what was found and what is accepted.
ModelContract contract_from_signature(const std::vector<TensorSpec>& inputs, const std::vector<TensorSpec>& outputs);

// The 80 class names of COCO, in the order of the family's labels.
const std::vector<std::string>& coco_names();

}  // namespace detrt
