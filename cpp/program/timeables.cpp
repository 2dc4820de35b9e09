#include "timeables.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/decoding.hpp"
#include "gpu/place.hpp"
#include "gpu/preprocess.hpp"
#include "gpu/session.hpp"

namespace detrt::program {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBacklog = 64;                   // runs enqueued before the host waits, so that the GPU never does
constexpr std::size_t kTotalBytes = 64 << 20;  // of all input sets together: more than the L2 cache of any known GPU

double since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// The photos of a batch, taken in turn.
std::vector<Source> batch_of(const std::vector<Source>& photos, int batch, std::size_t number) {
    std::vector<Source> chosen;
    for (std::size_t row = 0; row < std::size_t(batch); ++row)
        chosen.push_back(photos[(number * std::size_t(batch) + row) % photos.size()]);
    return chosen;
}

class EngineRuns final : public Timeable {
  public:
    EngineRuns(const Subject& subject, const Engine& engine, const ModelContract& contract,
               const std::vector<Source>& photos)
        : Timeable(subject) {
        for (int i = 0; i < subject.streams; ++i)
            sessions_.push_back(std::make_unique<Session>(engine, subject.batch, subject.graph));
        for (int i = 0; i < kBacklog; ++i) events_.push_back({new_event(true), new_event(true)});
        const auto bytes = sessions_[0]->input(contract.input_name).bytes;
        const auto count = std::clamp<std::size_t>((kTotalBytes + bytes - 1) / bytes, 2, 16);
        for (std::size_t i = 0; i < count; ++i) add_set(contract, batch_of(photos, subject.batch, i));
    }

    Round time(int runs) override {
        Round round;
        const auto start = Clock::now();
        for (int done = 0; done < runs; done += kBacklog) backlog(std::min(kBacklog, runs - done), round.runs);
        round.wall = since(start);
        return round;
    }

  private:
    struct Span {
        Event begin, end;
    };

    // Preprocesses the photos on the GPU and keeps the network's inputs there.
    void add_set(const ModelContract& contract, const std::vector<Source>& photos) {
        const auto& session = *sessions_[0];
        Place place(contract, subject.batch, false);
        for (std::size_t row = 0; row < photos.size(); ++row) place.load(int(row), photos[row]);
        const auto& images = session.input(contract.input_name);
        const auto* records = place.send_records(session.stream());
        enqueue_preprocessing(records, place.batch(), images.memory.get(), images.dtype, contract, session.stream());
        if (contract.sizes_name) {
            const auto& sizes = session.input(*contract.sizes_name);
            copy(sizes.memory.get(), place.sizes(), sizes.bytes, session.stream());
        }
        std::vector<DeviceMemory> set;
        for (const auto& tensor : session.inputs()) {
            set.push_back(device_memory(tensor.bytes));
            copy(set.back().get(), tensor.memory.get(), tensor.bytes, session.stream());
        }
        check(cudaStreamSynchronize(session.stream()), "cudaStreamSynchronize");
        sets_.push_back(std::move(set));
    }

    void backlog(int runs, std::vector<double>& times) {
        for (int run = 0; run < runs; ++run, ++number_) {
            auto& session = *sessions_[number_ % sessions_.size()];
            const auto& set = sets_[number_ % sets_.size()];
            for (std::size_t i = 0; i < set.size(); ++i) {
                const auto& tensor = session.inputs()[i];
                copy(tensor.memory.get(), set[i].get(), tensor.bytes, session.stream());
            }
            check(cudaEventRecord(events_[std::size_t(run)].begin.get(), session.stream()), "cudaEventRecord");
            session.launch();
            check(cudaEventRecord(events_[std::size_t(run)].end.get(), session.stream()), "cudaEventRecord");
        }
        for (const auto& session : sessions_) check(cudaStreamSynchronize(session->stream()), "cudaStreamSynchronize");
        for (int run = 0; run < runs; ++run)
            times.push_back(double(milliseconds(events_[std::size_t(run)].begin, events_[std::size_t(run)].end)));
    }

    std::vector<std::unique_ptr<Session>> sessions_;
    std::vector<std::vector<DeviceMemory>> sets_;
    std::vector<Span> events_;
    std::size_t number_ = 0;
};

class DetectorCalls final : public Timeable {
  public:
    DetectorCalls(const Subject& subject, Detector& detector, const std::vector<Source>& photos)
        : Timeable(subject), detector_(detector) {
        const auto count = std::max<std::size_t>(16, photos.size() / std::size_t(subject.batch));
        for (std::size_t i = 0; i < count; ++i) batches_.push_back(batch_of(photos, subject.batch, i));
    }

    Round time(int runs) override {
        Round round;
        const auto start = Clock::now();
        for (int run = 0; run < runs; ++run) {
            const auto begin = Clock::now();
            detector_.detect(batches_[number_++ % batches_.size()]);
            round.runs.push_back(since(begin));
        }
        round.wall = since(start);
        return round;
    }

  private:
    Detector& detector_;
    std::vector<std::vector<Source>> batches_;
    std::size_t number_ = 0;
};

class StreamRuns final : public Timeable {
  public:
    StreamRuns(const Subject& subject, Detector& detector, const std::vector<Source>& photos)
        : Timeable(subject), detector_(detector), photos_(photos) {}

    // Before and after what is counted the pipeline fills and empties: at most 6 groups, or 40 photos, are in hand.
    Round time(int runs) override {
        const auto batch = std::size_t(subject.batch),
                   edge = std::max<std::size_t>(6, (40 + batch - 1) / batch) * batch;
        const auto first = edge, last = first + batch * std::size_t(runs), all = last + edge;
        std::size_t given = 0, taken = 0;
        Round round;
        Clock::time_point start, before;
        const auto next = [&]() -> std::optional<Source> {
            if (given == all) return std::nullopt;
            return photos_[given++ % photos_.size()];
        };
        const auto take = [&](Outcome&& outcome) {
            if (outcome.error) outcome.error->raise();
            ++taken;
            if (taken == first) start = before = Clock::now();
            if (taken <= first || taken > last || (taken - first) % batch) return;
            round.runs.push_back(since(before));
            before = Clock::now();
        };
        detector_.stream(next, take, {subject.batch});
        round.wall = std::chrono::duration<double, std::milli>(before - start).count();
        return round;
    }

  private:
    Detector& detector_;
    std::vector<Source> photos_;
};

}  // namespace

std::unique_ptr<Timeable> engine_runs(const Subject& subject, const Engine& engine, const ModelContract& contract,
                                      const std::vector<Source>& photos) {
    return std::make_unique<EngineRuns>(subject, engine, contract, photos);
}

std::unique_ptr<Timeable> detector_calls(const Subject& subject, Detector& detector,
                                         const std::vector<Source>& photos) {
    return std::make_unique<DetectorCalls>(subject, detector, photos);
}

std::unique_ptr<Timeable> stream_runs(const Subject& subject, Detector& detector, const std::vector<Source>& photos) {
    return std::make_unique<StreamRuns>(subject, detector, photos);
}

}  // namespace detrt::program
