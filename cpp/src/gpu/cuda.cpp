#include "gpu/cuda.hpp"

#include <algorithm>

#include "detrt/error.hpp"

namespace detrt {
namespace {

std::string named(cudaError_t status) {
    return std::string(cudaGetErrorName(status)) + " (" + cudaGetErrorString(status) + ")";
}

}  // namespace

void check(cudaError_t status, const char* call) {
    if (status == cudaSuccess) return;
    throw EngineError(
        std::string(call) + " failed: " + named(status) + ".",
        status == cudaErrorMemoryAllocation
            ? "Close other users of the GPU, or build the engine for a smaller batch."
            : "If it happens again, run `nvidia-smi` and restart the process: a GPU fault stays until then.");
}

void Gpu::use() const { check(cudaSetDevice(index), "cudaSetDevice"); }

int gpu_count() {
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

Gpu gpu_number(int index) {
    int count = 0;
    const auto status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess) count = 0;
    if (index >= count) {
        const auto found = count == 1 ? std::string("there is 1")
                           : count    ? "there are " + std::to_string(count)
                                      : "there is none: " + named(status);
        throw EngineError("No NVIDIA GPU number " + std::to_string(index) + " here; " + found + ".",
                          "Use another --device, or another machine; `detrt doctor` shows what is here.");
    }
    cudaDeviceProp told{};
    check(cudaGetDeviceProperties(&told, index), "cudaGetDeviceProperties");
    return {index, told.name, std::to_string(told.major) + "." + std::to_string(told.minor)};
}

DeviceMemory device_memory(std::size_t bytes) {
    void* memory = nullptr;
    check(cudaMalloc(&memory, std::max<std::size_t>(bytes, 1)), "cudaMalloc");
    return DeviceMemory(memory);
}

PinnedMemory pinned_memory(std::size_t bytes) {
    void* memory = nullptr;
    check(cudaMallocHost(&memory, std::max<std::size_t>(bytes, 1)), "cudaMallocHost");
    return PinnedMemory(memory);
}

Stream new_stream() {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    return Stream(stream);
}

Event new_event(bool timing) {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, timing ? cudaEventDefault : cudaEventDisableTiming),
          "cudaEventCreateWithFlags");
    return Event(event);
}

Graph captured(cudaStream_t stream, const std::function<void()>& work) {
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    cudaGraph_t recorded = nullptr;
    try {
        work();
    } catch (...) {
        cudaStreamEndCapture(stream, &recorded);  // its own error says less than the one on its way
        if (recorded) cudaGraphDestroy(recorded);
        cudaGetLastError();
        throw;
    }
    check(cudaStreamEndCapture(stream, &recorded), "cudaStreamEndCapture");
    cudaGraphExec_t graph = nullptr;
    const auto status = cudaGraphInstantiateWithFlags(&graph, recorded, 0);
    cudaGraphDestroy(recorded);
    check(status, "cudaGraphInstantiate");
    return Graph(graph);
}

void copy(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "cudaMemcpyAsync");
}

float milliseconds(const Event& start, const Event& end) {
    float time = 0;
    check(cudaEventElapsedTime(&time, start.get(), end.get()), "cudaEventElapsedTime");
    return time;
}

}  // namespace detrt
