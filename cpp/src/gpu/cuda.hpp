// CUDA's objects with owners: memory, streams, events, graphs; a failed call is an EngineError.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace detrt {

// Throws where a call failed; `call` is its name.
void check(cudaError_t status, const char* call);

// A GPU by its number.
struct Gpu {
    int index = 0;
    std::string name, capability;  // capability as `9.0`

    // Makes it the GPU that the calling thread works with.
    void use() const;
};

// The GPU of that number; an EngineError where there is none. The sentence names what needs it.
Gpu gpu_number(int index);

// How many GPUs there are; 0 where there is no driver.
int gpu_count();

struct FreeDevice {
    void operator()(void* memory) const noexcept { cudaFree(memory); }
};
struct FreePinned {
    void operator()(void* memory) const noexcept { cudaFreeHost(memory); }
};
struct DestroyStream {
    void operator()(cudaStream_t stream) const noexcept { cudaStreamDestroy(stream); }
};
struct DestroyEvent {
    void operator()(cudaEvent_t event) const noexcept { cudaEventDestroy(event); }
};
struct DestroyGraph {
    void operator()(cudaGraphExec_t graph) const noexcept { cudaGraphExecDestroy(graph); }
};

using DeviceMemory = std::unique_ptr<void, FreeDevice>;
using PinnedMemory = std::unique_ptr<void, FreePinned>;
using Stream = std::unique_ptr<CUstream_st, DestroyStream>;
using Event = std::unique_ptr<CUevent_st, DestroyEvent>;
using Graph = std::unique_ptr<CUgraphExec_st, DestroyGraph>;

DeviceMemory device_memory(std::size_t bytes);
PinnedMemory pinned_memory(std::size_t bytes);
Stream new_stream();
Event new_event(bool timing = false);

// What `work` enqueues on the stream, as one thing to launch. Other threads may go on allocating and launching.
Graph captured(cudaStream_t stream, const std::function<void()>& work);

void copy(void* to, const void* from, std::size_t bytes, cudaStream_t stream);

// Time between two events that have passed.
float milliseconds(const Event& start, const Event& end);

}  // namespace detrt
