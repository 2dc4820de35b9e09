#include "bench.hpp"

#include <cstdio>
#include <iostream>
#include <random>
#include <system_error>

#include "core/files.hpp"
#include "detrt/detrt.hpp"
#include "gpu/engine.hpp"
#include "machine.hpp"
#include "timeables.hpp"

namespace detrt::program {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostPhotos = 64;
constexpr int kSomeSkipped = 3;

// A photo of soft blobs, for who has none at hand.
Pixels made_photo(unsigned seed) {
    Pixels photo({480, 640});
    std::mt19937 random(seed);
    std::vector<std::uint8_t> coarse(15 * 20 * 3);
    for (auto& value : coarse) value = static_cast<std::uint8_t>(random());
    for (int y = 0; y < 480; ++y)
        for (int x = 0; x < 640 * 3; ++x)
            photo.data[std::size_t(y) * 640 * 3 + x] = coarse[std::size_t(y / 32 * 60 + x / 96 * 3 + x % 3)];
    return photo;
}

// Up to 64 photos spread over those given, as the bytes of their files.
std::vector<Source> files_of(const std::vector<fs::path>& photos) {
    std::vector<Source> files;
    const auto count = std::min(kMostPhotos, photos.size());
    for (std::size_t i = 0; i < count; ++i) {
        const auto& path = photos[count > 1 ? i * (photos.size() - 1) / (count - 1) : 0];
        files.push_back(Source::bytes(read_bytes(path), path.string()));
    }
    if (!files.empty()) return files;
    const auto folder = fs::temp_directory_path();
    for (unsigned seed = 0; seed < 8; ++seed) {
        const auto path = folder / ("detrt-made-" + std::to_string(seed) + ".jpg");
        write_jpeg(made_photo(seed), path, 90);
        files.push_back(Source::bytes(read_bytes(path), path.string()));
        fs::remove(path);
    }
    return files;
}

std::vector<Source> decoded(const std::vector<Source>& files) {
    std::vector<Source> photos;
    for (const auto& file : files)
        photos.push_back(
            Source::pixels(decode_photo(*std::get<std::shared_ptr<const Bytes>>(file.content), file.name), file.name));
    return photos;
}

void print(const std::vector<Timings>& rows) {
    std::printf("%-52s %9s %9s %9s %7s %10s\n", "milliseconds a run", "p50", "p90", "p99", "spread", "images/s");
    for (const auto& row : rows)
        std::printf("%-52s %9.4g %9.4g %9.4g %6.1f%%%s %10.0f\n",
                    (row.subject.model + ": " + row.subject.how()).c_str(), row.p50, row.p90, row.p99, 100 * row.spread,
                    row.settled ? " " : "!", row.images_per_second);
}

}  // namespace

int bench(const fs::path& engine, const std::vector<fs::path>& photos, const Arguments& asked) {
    auto detector = Detector::open(engine, {asked.device, !asked.no_graph, asked.gpu_decode});
    const auto& contract = detector.contract();
    const auto files = files_of(photos), pictures = decoded(files);

    std::vector<std::unique_ptr<Timeable>> timeables;
    Report report;
    const auto add = [&](const std::string& protocol, int batch, int streams) {
        const Subject subject{engine.filename().string(),
                              detector.name() + ", C++",
                              detector.manifest().precision,
                              "cuda:" + std::to_string(asked.device),
                              protocol,
                              batch,
                              !asked.no_graph,
                              streams};
        try {
            if (protocol == "engine")
                timeables.push_back(engine_runs(subject, engine_of(detector), contract, pictures));
            else if (protocol == "infer")
                timeables.push_back(detector_calls(subject, detector, pictures));
            else if (protocol == "e2e")
                timeables.push_back(detector_calls(subject, detector, files));
            else
                timeables.push_back(stream_runs(subject, detector, files));
        } catch (const ModelError& error) {
            report.failures.push_back(subject.model + ": " + subject.how() + ": " + error.what());
        }
    };
    for (const auto& protocol : asked.protocols)
        for (const int batch : asked.batch)
            for (const int streams : protocol == "engine" ? asked.streams : std::vector<int>{1})
                add(protocol, batch, streams);

    report.rows = take_turns(timeables, asked.seconds, [&] { return gpu_clock(asked.device); });
    report.machine = this_machine(asked.device, detector.name());
    report.photos = photos.empty() ? "made" : asked.sources.front();
    report.command = asked.command;
    report.time = now();
    print(report.rows);
    for (const auto& failure : report.failures) std::cerr << "Skipped: " << failure << "\n";
    try {
        if (!asked.json.empty()) write_whole(asked.json, json_of(report));
    } catch (const std::system_error& error) {
        throw UsageError(asked.json.string() + " cannot be written: " + error.code().message() + ".",
                         "Give another --json FILE.");
    }
    return report.failures.empty() ? 0 : kSomeSkipped;
}

}  // namespace detrt::program
