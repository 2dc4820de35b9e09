#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "cuda_runtime_api.h"

namespace standin {

using Work = std::function<void()>;

// How often an event was enqueued and how often it has passed.
struct Passing {
    std::mutex lock;
    std::condition_variable passed;
    int enqueued = 0, done = 0;

    void wait_for(int count) {
        std::unique_lock held(lock);
        passed.wait(held, [&] { return done >= count; });
    }
};

}  // namespace standin

using standin::Work;
struct CUevent_st {
    std::shared_ptr<standin::Passing> passing = std::make_shared<standin::Passing>();
};

struct CUgraph_st {
    std::vector<Work> recorded;
};

struct CUgraphExec_st {
    std::vector<Work> recorded;
};

struct CUstream_st {
    std::mutex lock;
    std::condition_variable changed;
    std::deque<Work> waiting;
    bool busy = false, ends = false, captures = false;
    std::vector<Work> recorded;
    std::thread thread{[this] { run(); }};

    ~CUstream_st() {
        synchronize();
        {
            const std::lock_guard held(lock);
            ends = true;
        }
        changed.notify_all();
        thread.join();
    }

    void enqueue(Work work) {
        const std::lock_guard held(lock);
        if (captures)
            recorded.push_back(std::move(work));
        else
            waiting.push_back(std::move(work));
        changed.notify_all();
    }

    void synchronize() {
        std::unique_lock held(lock);
        changed.wait(held, [this] { return waiting.empty() && !busy; });
    }

    void run() {
        std::unique_lock held(lock);
        while (true) {
            changed.wait(held, [this] { return ends || !waiting.empty(); });
            if (ends) return;
            auto work = std::move(waiting.front());
            waiting.pop_front();
            busy = true;
            held.unlock();
            work();
            held.lock();
            busy = false;
            changed.notify_all();
        }
    }
};

namespace {

std::mutex streams_lock;
std::set<CUstream_st*> streams;

// Freeing memory waits for the whole device, as CUDA does.
cudaError_t free_after_all(void* memory) {
    {
        const std::lock_guard held(streams_lock);
        for (auto* stream : streams) stream->synchronize();
    }
    std::free(memory);
    return cudaSuccess;
}

std::function<bool(std::size_t)> has_room;

cudaError_t allocate(void** memory, std::size_t bytes) {
    *memory = has_room && !has_room(bytes) ? nullptr : std::malloc(bytes);
    return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}

}  // namespace

void standin::enqueue(cudaStream_t stream, Work work) { stream->enqueue(std::move(work)); }

standin::Room::Room(std::function<bool(std::size_t)> has) { has_room = std::move(has); }
standin::Room::~Room() { has_room = nullptr; }

const char* cudaGetErrorName(cudaError_t) { return "cudaError"; }
const char* cudaGetErrorString(cudaError_t) { return "of the stand-in"; }
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaSetDevice(int) { return cudaSuccess; }

cudaError_t cudaGetDeviceCount(int* count) {
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* told, int) {
    *told = {"stand-in", 9, 0};
    return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) { return allocate(memory, bytes); }
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) { return allocate(memory, bytes); }
cudaError_t cudaFree(void* memory) { return free_after_all(memory); }
cudaError_t cudaFreeHost(void* memory) { return free_after_all(memory); }

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
    stream->enqueue([=] { std::memcpy(to, from, bytes); });
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
    stream->enqueue([=] { std::memset(memory, value, bytes); });
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    *stream = new CUstream_st;
    const std::lock_guard held(streams_lock);
    streams.insert(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    {
        const std::lock_guard held(streams_lock);
        streams.erase(stream);
    }
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    stream->synchronize();
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    stream->enqueue([passing = event->passing, count = event->passing->enqueued] { passing->wait_for(count); });
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    const std::lock_guard held(stream->lock);
    stream->captures = true;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    const std::lock_guard held(stream->lock);
    stream->captures = false;
    *graph = new CUgraph_st{std::exchange(stream->recorded, {})};
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    *event = new CUevent_st;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    ++event->passing->enqueued;
    stream->enqueue([passing = event->passing] {
        const std::lock_guard held(passing->lock);
        ++passing->done;
        passing->passed.notify_all();
    });
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    event->passing->wait_for(event->passing->enqueued);
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
    *milliseconds = 1;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
    *executable = new CUgraphExec_st{graph->recorded};
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
    for (const auto& work : graph->recorded) stream->enqueue(work);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    delete graph;
    return cudaSuccess;
}
