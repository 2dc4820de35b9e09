#include "device_bytes.h"

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

namespace detrt {
namespace {

constexpr size_t kAlignment = 256;

void require(cudaError_t status) {
    if (status != cudaSuccess) {
        throw std::runtime_error(std::string("its weights cannot be brought onto the GPU: ") + cudaGetErrorString(status));
    }
}

/// Lets this thread allocate and copy while another one captures a graph, which forbids both to all by default.
class Undisturbed {
public:
    Undisturbed() { cudaThreadExchangeStreamCaptureMode(&mode_); }
    ~Undisturbed() { cudaThreadExchangeStreamCaptureMode(&mode_); }

private:
    cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

} // namespace

size_t Packed::add(void const* data, size_t size) {
    size_t const begin = (bytes_.size() + kAlignment - 1) / kAlignment * kAlignment;
    bytes_.resize(begin);
    auto const* first = static_cast<char const*>(data);
    bytes_.insert(bytes_.end(), first, first + size);
    return begin;
}

DeviceBytes::DeviceBytes(std::vector<char> const& bytes) {
    Undisturbed const mode;
    require(cudaGetDevice(&device_));
    require(cudaMalloc(&memory_, bytes.size()));
    // A stream of its own: the default one would wait for all others.
    cudaStream_t stream = nullptr;
    cudaError_t status = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    if (status == cudaSuccess) {
        status = cudaMemcpyAsync(memory_, bytes.data(), bytes.size(), cudaMemcpyHostToDevice, stream);
        cudaError_t const waited = cudaStreamSynchronize(stream);
        status = status == cudaSuccess ? waited : status;
        cudaStreamDestroy(stream);
    }
    if (status != cudaSuccess) {
        cudaFree(memory_);
        require(status);
    }
}

DeviceBytes::~DeviceBytes() {
    Undisturbed const mode;
    cudaFree(memory_); // fails where the context is gone already, and with it the memory
}

} // namespace detrt
