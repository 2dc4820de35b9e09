#include "detrt/detector.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <mutex>
#include <thread>

#include "gpu/engine.hpp"
#include "gpu/place.hpp"
#include "gpu/pool.hpp"
#include "gpu/station.hpp"

namespace detrt {
namespace {

constexpr std::size_t kRunning = 2;     // groups on the GPU: one computes, one waits behind it
constexpr std::size_t kLeastAhead = 3;  // and in hand beyond them, being decoded
constexpr std::size_t kMostReady = 4;   // batch sizes that are kept ready
constexpr int kMostWorkers = 32;

// A group of photos in its place.
struct Group {
    std::unique_ptr<Place> place;
    std::vector<Source> sources;
    std::vector<std::future<void>> loading;
    std::future<void> loaded;

    bool is_loaded() const { return loaded.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }

    void finish_loading() {
        for (const auto& one : loading) one.wait();  // a group that fails ends here, and none may still load into it
        for (auto& one : loading) one.get();
        loading.clear();
        place->decode_on_chip();
    }

    // Waits for the results, where any photo was run; what became of every photo, in order.
    std::vector<Outcome> outcomes() {
        auto found = place->loaded().empty() ? std::vector<Detections>() : place->collect();
        auto next = found.begin();
        std::vector<Outcome> all;
        for (std::size_t i = 0; i < sources.size(); ++i) {
            const auto& row = place->row(static_cast<int>(i));
            Outcome outcome{std::move(sources[i]), {}, {}, row.error};
            if (row.placement) {
                outcome.size = row.placement->photo;
                outcome.found = std::move(*next++);
                if (const auto bad = count_non_finite(outcome.found)) outcome.error = non_finite(outcome, bad);
            }
            all.push_back(std::move(outcome));
        }
        return all;
    }

    static std::shared_ptr<const Error> non_finite(const Outcome& outcome, std::size_t bad) {
        return std::make_shared<const NonFiniteError>(
            "The model gave NaN or infinity in " + std::to_string(bad) + " of " + std::to_string(outcome.found.size()) +
                " detections of " + outcome.source.name + ".",
            "Its numbers overflow: build it with --precision fp32, or look for the layer with a full-precision copy.");
    }
};

int workers_or_all(int workers) {
    return workers > 0 ? workers : std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostWorkers);
}

}  // namespace

class Detector::Impl {
  public:
    Impl(const std::filesystem::path& path, const DetectorOptions& options)
        : engine(path, options.device), contract(engine.manifest().contract()), options_(options) {}

    // What runs groups of a size, and the places that nobody uses now.
    struct Ready {
        int batch;
        std::unique_ptr<Station> station;
        std::vector<std::unique_ptr<Place>> idle;
    };

    // The batch size that was not used for the longest time gives way to a new one, unless a stream still uses it. What
    // a stream has on the GPU ends before another size may run: the engine never runs twice at a time.
    std::shared_ptr<Ready> ready_for(int batch) {
        for (const auto& one : ready_)
            if (one->batch != batch && is_used(one)) one->station->wait();
        const auto known = std::find_if(ready_.begin(), ready_.end(), [&](auto& one) { return one->batch == batch; });
        if (known == ready_.end()) {
            const auto oldest = std::find_if_not(ready_.rbegin(), ready_.rend(), is_used);
            if (ready_.size() >= kMostReady && oldest != ready_.rend()) ready_.erase(std::next(oldest).base());
            ready_.push_front(std::make_shared<Ready>(
                Ready{batch, std::make_unique<Station>(engine, contract, batch, options_.graph), {}}));
        } else {
            std::rotate(ready_.begin(), known, known + 1);
        }
        return ready_.front();
    }

    Group group(Ready& ready, std::vector<Source> sources) const {
        if (ready.idle.empty())
            ready.idle.push_back(std::make_unique<Place>(contract, ready.batch, options_.gpu_decode));
        Group group{std::move(ready.idle.back()), std::move(sources), {}, {}};
        ready.idle.pop_back();
        group.place->clear();
        return group;
    }

    std::unique_ptr<Pool> pool(int threads) const {
        return std::make_unique<Pool>(threads, [this] { engine.gpu().use(); });
    }

    std::vector<Outcome> detect(std::vector<Source> sources, int batch) {
        const std::lock_guard held(lock);
        engine.gpu().use();
        const auto ready = ready_for(batch);
        auto group = this->group(*ready, std::move(sources));
        if (group.sources.size() == 1) {
            group.place->load(0, group.sources[0]);  // no thread stands between a photo's bytes and its boxes
        } else {
            if (!loaders_) loaders_ = pool(workers_or_all(0));
            start_loading(group, *loaders_);
        }
        group.finish_loading();
        if (!group.place->loaded().empty()) ready->station->enqueue(*group.place);
        auto outcomes = group.outcomes();
        ready->idle.push_back(std::move(group.place));
        return outcomes;
    }

    // The group stays where it is until all is loaded.
    static void start_loading(Group& group, Pool& pool) {
        for (std::size_t row = 0; row < group.sources.size(); ++row)
            group.loading.push_back(pool.submit(
                [place = group.place.get(), source = &group.sources[row], row] { place->load(int(row), *source); }));
    }

    Engine engine;
    const ModelContract contract;
    std::recursive_mutex lock;  // who takes a stream's outcomes may call the detector

  private:
    // Whether somebody beside us holds it.
    static bool is_used(const std::shared_ptr<Ready>& ready) { return ready.use_count() > 1; }

    const DetectorOptions options_;
    std::deque<std::shared_ptr<Ready>> ready_;
    std::unique_ptr<Pool> loaders_;
};

Detector Detector::open(const std::filesystem::path& engine, const DetectorOptions& options) {
    return Detector(std::make_unique<Impl>(engine, options));
}

Detector::Detector(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Detector::Detector(Detector&&) noexcept = default;
Detector& Detector::operator=(Detector&&) noexcept = default;
Detector::~Detector() = default;

const ModelContract& Detector::contract() const { return impl_->contract; }
const EngineManifest& Detector::manifest() const { return impl_->engine.manifest(); }

const Engine& engine_of(const Detector& detector) { return detector.impl_->engine; }

std::string Detector::name() const { return impl_->engine.flavour().text() + " (" + manifest().precision + ")"; }

Detections Detector::operator()(const Source& photo) { return detect({photo}).front(); }

std::vector<Detections> Detector::detect(const std::vector<Source>& photos) {
    const auto& shapes = manifest().profile.at(contract().input_name);
    const int least = static_cast<int>(shapes.front()[0]), most = static_cast<int>(shapes.back()[0]);
    std::vector<Detections> all;
    for (std::size_t first = 0; first < photos.size(); first += std::size_t(most)) {
        const auto count = std::min(photos.size() - first, std::size_t(most));
        const auto start = photos.begin() + std::ptrdiff_t(first);
        for (auto& outcome : impl_->detect({start, start + std::ptrdiff_t(count)}, std::max(least, int(count)))) {
            if (outcome.error) outcome.error->raise();
            all.push_back(std::move(outcome.found));
        }
    }
    return all;
}

void Detector::stream(const std::function<std::optional<Source>()>& next, const std::function<void(Outcome&&)>& take,
                      const StreamOptions& options) {
    const std::lock_guard held(impl_->lock);
    impl_->engine.gpu().use();
    const auto ready = impl_->ready_for(options.batch);
    std::deque<Group> loading, running;  // the elements stay where they are while others come and go at the ends
    const auto loaders = impl_->pool(workers_or_all(options.workers));  // ends before what its threads work on
    const auto chip = impl_->pool(1);                                   // one group after the other

    // A group of one photo keeps one thread busy, so there are as many groups in hand as there are threads.
    const auto workers = std::size_t(workers_or_all(options.workers)), batch = std::size_t(options.batch);
    const auto in_hand = kRunning + std::max(kLeastAhead, (workers + batch - 1) / batch + 1);

    bool more = true;
    const auto start_group = [&] {
        std::vector<Source> sources;
        while (more && sources.size() < std::size_t(options.batch)) {
            auto source = next();
            more = source.has_value();
            if (more) sources.push_back(std::move(*source));
        }
        if (sources.empty()) return;
        loading.push_back(impl_->group(*ready, std::move(sources)));
        auto& group = loading.back();
        Impl::start_loading(group, *loaders);
        group.loaded = chip->submit([&group] { group.finish_loading(); });
    };
    const auto enqueue_group = [&] {
        loading.front().loaded.get();
        running.push_back(std::move(loading.front()));
        loading.pop_front();
        if (!running.back().place->loaded().empty()) ready->station->enqueue(*running.back().place);
    };
    const auto finish_group = [&] {
        auto outcomes = running.front().outcomes();
        ready->idle.push_back(std::move(running.front().place));
        running.pop_front();
        for (auto& outcome : outcomes) take(std::move(outcome));
    };

    while (true) {
        while (more && loading.size() + running.size() < in_hand) start_group();
        if (loading.empty() && running.empty()) return;
        const bool room = !loading.empty() && running.size() < kRunning;
        if (room && (running.empty() || loading.front().is_loaded()))
            enqueue_group();
        else
            finish_group();
    }
}

}  // namespace detrt
