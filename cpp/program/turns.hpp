// The loop that times: warm up until stable, then rounds in which the subjects take turns (`detrt.benchmark.turns`).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "timings.hpp"

namespace detrt::program {

// Something that can run again and again on inputs that change from run to run.
class Timeable {
  public:
    explicit Timeable(Subject subject) : subject(std::move(subject)) {}
    virtual ~Timeable() = default;

    // Runs that many times back to back and times each.
    virtual Round time(int runs) = 0;

    const Subject subject;
};

// Times every subject, interleaved, for `seconds` each; one row each, in their order. `clock` is asked after each
// round.
std::vector<Timings> take_turns(const std::vector<std::unique_ptr<Timeable>>& timeables, double seconds,
                                const std::function<std::optional<int>()>& clock);

}  // namespace detrt::program
