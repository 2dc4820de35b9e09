// What a benchmark found, as numbers; see `detrt.benchmark.timings` in Python, whose JSON this writes.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace detrt::program {

// What is timed.
struct Subject {
    std::string model, runtime, precision, device, protocol;
    int batch = 1;
    bool graph = true;
    int streams = 1;

    // `engine, batch 8, CUDA graph, 2 streams`.
    std::string how() const;
};

// One turn of a subject: the time of each run, and the time until all were done, in milliseconds.
struct Round {
    std::vector<double> runs;
    double wall = 0;
};

// Times of one run (a batch), in milliseconds. `spread` is the distance between the quartiles relative to the median;
// `rounds` the median of each round; `settled` whether the warm-up's rounds ever agreed.
struct Timings {
    Subject subject;
    std::size_t runs = 0;
    double mean = 0, minimum = 0, p50 = 0, p90 = 0, p99 = 0, spread = 0, images_per_second = 0;
    std::vector<double> rounds;
    std::optional<std::pair<int, int>> clocks_mhz;  // lowest and highest seen
    int warm_up_runs = 0;
    bool settled = true;
};

// The value below which `percent` of the values lie, interpolated as NumPy does.
double percentile(std::vector<double> values, double percent);

// Summarises rounds, of which there is at least one.
Timings timings_from(const Subject& subject, const std::vector<Round>& rounds, const std::vector<int>& clocks = {},
                     int warm_up_runs = 0, bool settled = true);

// Where it was timed: `gpu`, `cpu`, `driver_version`, ..., and versions by package.
struct Machine {
    std::vector<std::pair<std::string, std::string>> facts, versions;
};

struct Report {
    std::vector<Timings> rows;
    Machine machine;
    std::string photos, time;
    std::vector<std::string> command, failures;
};

// The report as JSON, which `detrt.benchmark.report.load_report` reads.
std::string json_of(const Report& report);

}  // namespace detrt::program
