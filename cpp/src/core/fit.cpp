#include "core/fit.hpp"

#include <algorithm>
#include <string>

#include "core/text.hpp"
#include "detrt/error.hpp"

namespace detrt {
namespace {

using Specs = std::vector<TensorSpec>;
using Axes = std::vector<std::string>;  // a length, or a name that is of one length for all tensors

constexpr const char* kBatch = "N";

ContractError misfit(const std::string& why) {
    return {"The model's contract does not fit its tensors: " + why + ".",
            "Export the model again, and build its engine anew."};
}

class Fitting {
  public:
    explicit Fitting(std::optional<std::int64_t> batch) : all_known_(batch) {
        if (batch) lengths_[kBatch] = std::to_string(*batch);
    }

    // Holds a tensor against what the contract means by its name.
    void refuse_other(const Specs& specs, const std::string& kind, const std::string& name, const Axes& wanted) {
        const auto found = std::find_if(specs.begin(), specs.end(), [&](auto& spec) { return spec.name == name; });
        if (found == specs.end()) throw misfit("there is no " + kind + " " + name);
        const bool untold = !all_known_ && kind == "output" && found->shape.empty();
        if (!untold && !fits(found->shape, wanted))
            throw misfit("the " + kind + " " + found->text() + " should be " + text_of(wanted));
    }

  private:
    bool fits(const std::vector<std::int64_t>& shape, const Axes& wanted) {
        return shape.size() == wanted.size() && std::equal(shape.begin(), shape.end(), wanted.begin(),
                                                           [&](auto axis, auto& want) { return fits(axis, want); });
    }

    bool fits(std::int64_t axis, const std::string& wanted) {
        if (!all_known_ && (axis < 0 || wanted == kBatch)) return true;  // a file may tell of another batch
        const bool named = wanted.find_first_not_of("0123456789") != wanted.npos;
        const auto length = std::to_string(axis);
        return (named ? lengths_.try_emplace(wanted, length).first->second : wanted) == length;
    }

    std::string text_of(Axes wanted) const {
        for (auto& axis : wanted)
            if (const auto known = lengths_.find(axis); known != lengths_.end()) axis = known->second;
        return "(" + joined(wanted, ", ") + ")";
    }

    bool all_known_;
    std::map<std::string, std::string> lengths_;
};

}  // namespace

void refuse_misfit(const ModelContract& contract, const Specs& inputs, const Specs& outputs,
                   std::optional<std::int64_t> batch) {
    Fitting fitting(batch);
    const auto [height, width] = contract.input_size;
    const Axes images = {kBatch, "3", std::to_string(height), std::to_string(width)};
    fitting.refuse_other(inputs, "input", contract.input_name, images);
    if (contract.sizes_name) fitting.refuse_other(inputs, "input", *contract.sizes_name, {kBatch, "2"});
    for (const auto& spec : inputs) {
        const bool sizes = contract.sizes_name == spec.name;
        if (!sizes && spec.name != contract.input_name)
            throw misfit("nothing is known to feed the input " + spec.name + " with");
        if (sizes && spec.dtype != "int64") throw misfit("the input " + spec.text() + " should be int64");
    }
    const auto refuse_other = [&](const std::string& role, const Axes& wanted) {
        fitting.refuse_other(outputs, "output", contract.output(role), wanted);
    };
    if (contract.output_form == OutputForm::raw) {
        refuse_other("logits", {kBatch, "queries", "classes"});
        refuse_other("boxes", {kBatch, "queries", "4"});
    } else {
        refuse_other("labels", {kBatch, "K"});
        refuse_other("boxes", {kBatch, "K", "4"});
        refuse_other("scores", {kBatch, "K"});
    }
}

}  // namespace detrt
