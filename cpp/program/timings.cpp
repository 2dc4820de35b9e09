#include "timings.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

namespace detrt::program {
namespace {

using json = nlohmann::ordered_json;

json row_of(const Timings& row) {
    const auto& subject = row.subject;
    json made = {{"subject",
                  {{"model", subject.model},
                   {"runtime", subject.runtime},
                   {"precision", subject.precision},
                   {"device", subject.device},
                   {"protocol", subject.protocol},
                   {"batch", subject.batch},
                   {"graph", subject.graph},
                   {"streams", subject.streams}}},
                 {"runs", row.runs},
                 {"mean", row.mean},
                 {"minimum", row.minimum},
                 {"p50", row.p50},
                 {"p90", row.p90},
                 {"p99", row.p99},
                 {"spread", row.spread},
                 {"images_per_second", row.images_per_second},
                 {"rounds", row.rounds}};
    made["clocks_mhz"] = row.clocks_mhz ? json{row.clocks_mhz->first, row.clocks_mhz->second} : json();
    made["warm_up_runs"] = row.warm_up_runs;
    made["settled"] = row.settled;
    return made;
}

json object_of(const std::vector<std::pair<std::string, std::string>>& pairs) {
    json made = json::object();
    for (const auto& [name, value] : pairs) made[name] = value;
    return made;
}

}  // namespace

std::string Subject::how() const {
    auto words = protocol + ", batch " + std::to_string(batch) + (graph ? ", CUDA graph" : ", kernel by kernel");
    return streams > 1 ? words + ", " + std::to_string(streams) + " streams" : words;
}

double percentile(std::vector<double> values, double percent) {
    std::sort(values.begin(), values.end());
    const double place = percent / 100 * double(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const auto above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - double(below)) * (values[above] - values[below]);
}

Timings timings_from(const Subject& subject, const std::vector<Round>& rounds, const std::vector<int>& clocks,
                     int warm_up_runs, bool settled) {
    std::vector<double> values;
    double walls = 0;
    Timings row;
    for (const auto& round : rounds) {
        values.insert(values.end(), round.runs.begin(), round.runs.end());
        walls += round.wall;
        row.rounds.push_back(percentile(round.runs, 50));
    }
    const double sum = std::accumulate(values.begin(), values.end(), 0.0);
    const double busy = subject.streams > 1 ? walls : sum;  // runs of several streams overlap
    row.subject = subject;
    row.runs = values.size();
    row.mean = sum / double(values.size());
    row.minimum = *std::min_element(values.begin(), values.end());
    row.p50 = percentile(values, 50);
    row.p90 = percentile(values, 90);
    row.p99 = percentile(values, 99);
    row.spread = row.p50 > 0 ? (percentile(values, 75) - percentile(values, 25)) / row.p50 : 0;
    row.images_per_second = busy > 0 ? 1e3 * subject.batch * double(values.size()) / busy : 0;
    if (!clocks.empty()) {
        const auto [low, high] = std::minmax_element(clocks.begin(), clocks.end());
        row.clocks_mhz = {*low, *high};
    }
    row.warm_up_runs = warm_up_runs;
    row.settled = settled;
    return row;
}

std::string json_of(const Report& report) {
    json rows = json::array();
    for (const auto& row : report.rows) rows.push_back(row_of(row));
    const json all = {
        {"format", 1},
        {"rows", rows},
        {"failures", report.failures},
        {"machine", {{"facts", object_of(report.machine.facts)}, {"versions", object_of(report.machine.versions)}}},
        {"photos", report.photos},
        {"command", report.command},
        {"time", report.time},
        {"complete", true}};
    return all.dump(1, ' ', false, json::error_handler_t::replace) + "\n";  // words and names may be no UTF-8
}

}  // namespace detrt::program
