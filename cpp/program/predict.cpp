#include "predict.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <vector>

#include "detrt/error.hpp"
#include "sinks.hpp"

namespace detrt::program {
namespace {

constexpr int kSomeSkipped = 3, kInterrupted = 130;

volatile std::sig_atomic_t interrupted = 0;

// `2 person, 1 dog`, in the order of the best of each.
std::string counted(const Detections& found, const ModelContract& contract) {
    std::vector<std::pair<std::int64_t, int>> counts;
    for (const auto& one : found) {
        const auto known =
            std::find_if(counts.begin(), counts.end(), [&](auto& count) { return count.first == one.label; });
        if (known == counts.end())
            counts.emplace_back(one.label, 1);
        else
            ++known->second;
    }
    std::string text;
    for (const auto& [label, count] : counts)
        text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + contract.name_of(label);
    return text.empty() ? "nothing" : text;
}

}  // namespace

int predict(Detector& detector, const std::vector<std::filesystem::path>& photos, const Arguments& asked) {
    keep_originals(photos, asked);
    const auto sinks = sinks_for(asked, detector.contract());
    const bool scored =
        !asked.coco_results.empty();  // COCO's boxes are of the pixels as they are, and every row counts
    std::signal(SIGINT, [](int) { interrupted = 1; });

    auto photo = photos.begin();
    const auto next = [&]() -> std::optional<Source> {
        if (photo == photos.end() || interrupted) return std::nullopt;
        auto source = Source::file(*photo++);
        source.upright = !scored;
        return source;
    };
    std::size_t done = 0, skipped = 0;
    const auto take = [&](Outcome&& outcome) {
        ++done;
        if (!scored) outcome.found = above(outcome.found, static_cast<float>(asked.threshold));
        for (const auto& sink : sinks) sink->add(outcome);
        if (outcome.error) {
            ++skipped;
            std::cerr << "Skipped: " << outcome.error->what() << "\n";
        } else if (!scored) {
            std::cout << outcome.source.name << ": " << counted(outcome.found, detector.contract()) << "\n";
        }
    };
    const auto start = std::chrono::steady_clock::now();
    detector.stream(next, take, {asked.batch.front()});
    for (const auto& sink : sinks) sink->end();
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    std::fprintf(stderr, "%zu of %zu images on %s: %.2f s, %.0f images/s\n", done - skipped, done,
                 detector.name().c_str(), spent.count(), double(done) / spent.count());
    if (interrupted) {
        std::cerr << "Interrupted.\n";
        return kInterrupted;
    }
    return skipped ? kSomeSkipped : 0;
}

}  // namespace detrt::program
