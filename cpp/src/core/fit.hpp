// Whether a contract is of a model with these tensors: what it says of them is where memory is read and written.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "detrt/contract.hpp"

namespace detrt {

// A ContractError where a tensor is missing, one too many, or of another shape than the contract means. Open axes, and
// shapes of outputs that the file leaves out, may be anything; those of a session of so many photos (`batch`) are
// known.
void refuse_misfit(const ModelContract& contract, const std::vector<TensorSpec>& inputs,
                   const std::vector<TensorSpec>& outputs, std::optional<std::int64_t> batch = {});

}  // namespace detrt
