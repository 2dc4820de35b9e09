#include "turns.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace detrt::program {
namespace {

constexpr double kAgree = 0.02;  // this many warm-up rounds in a row whose medians are this close say that it is warm
constexpr std::size_t kAgreeing = 3;
constexpr double kShortestWarmUp = 0.5, kLongestWarmUp = 5, kWarmUpRound = 0.1, kRound = 0.5;  // seconds
constexpr int kFewestRounds = 5, kFewestRuns = 3;

struct Turns {
    explicit Turns(Timeable& timeable) : timeable(timeable) {}

    Timeable& timeable;
    int runs_a_round = kFewestRuns;
    int warm_up_runs = 0;
    bool settled = false;
    std::vector<Round> rounds;
    std::vector<int> clocks;
};

int fitting(double seconds, double milliseconds_each) {
    return milliseconds_each > 0 ? std::max(kFewestRuns, static_cast<int>(1e3 * seconds / milliseconds_each))
                                 : kFewestRuns;
}

// Runs until the last rounds agree, or the time is up; then chooses how many runs make a round.
void warm_up(Turns& turn, double seconds_a_round) {
    using Clock = std::chrono::steady_clock;
    const auto begun = Clock::now();
    std::vector<double> medians;
    for (int runs = 1;;) {
        const auto result = turn.timeable.time(runs);
        turn.warm_up_runs += runs;
        const double each = result.wall / runs;
        medians.push_back(percentile(result.runs, 50));
        const double spent = std::chrono::duration<double>(Clock::now() - begun).count();
        if (medians.size() >= kAgreeing) {
            const auto [low, high] = std::minmax_element(medians.end() - kAgreeing, medians.end());
            turn.settled = *high - *low <= kAgree * *low;
        }
        if (spent > kLongestWarmUp || (turn.settled && spent > kShortestWarmUp)) {
            turn.runs_a_round = fitting(seconds_a_round, each);
            return;
        }
        runs = fitting(kWarmUpRound, each);
    }
}

}  // namespace

std::vector<Timings> take_turns(const std::vector<std::unique_ptr<Timeable>>& timeables, double seconds,
                                const std::function<std::optional<int>()>& clock) {
    const int rounds = std::max(kFewestRounds, static_cast<int>(std::ceil(seconds / kRound)));
    std::vector<Turns> turns;
    for (const auto& timeable : timeables) turns.emplace_back(*timeable);
    for (auto& turn : turns) warm_up(turn, seconds / rounds);
    for (int number = 0; number < rounds; ++number)
        for (std::size_t i = 0; i < turns.size();
             ++i) {  // each round starts one further: nobody always has one neighbour
            auto& turn = turns[(i + std::size_t(number)) % turns.size()];
            turn.rounds.push_back(turn.timeable.time(turn.runs_a_round));
            if (const auto now = clock()) turn.clocks.push_back(*now);
        }
    std::vector<Timings> rows;
    for (const auto& turn : turns)
        rows.push_back(timings_from(turn.timeable.subject, turn.rounds, turn.clocks, turn.warm_up_runs, turn.settled));
    return rows;
}

}  // namespace detrt::program
