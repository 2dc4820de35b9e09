// Weights on the GPU.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace detrt {

/// Arrays side by side in one host buffer, each on 256 bytes, and then in one piece of device memory.
class Packed {
public:
    /// Appends; returns where it begins.
    size_t add(void const* data, size_t size);

    std::vector<char> const& bytes() const { return bytes_; }

private:
    std::vector<char> bytes_;
};

/// Device memory that holds what it was made with. Throws std::runtime_error where the GPU has no room or is not there.
class DeviceBytes {
public:
    explicit DeviceBytes(std::vector<char> const& bytes);
    ~DeviceBytes();
    DeviceBytes(DeviceBytes const&) = delete;
    DeviceBytes& operator=(DeviceBytes const&) = delete;

    template <typename T>
    T const* at(size_t offset) const {
        return reinterpret_cast<T const*>(static_cast<char const*>(memory_) + offset);
    }

    int device() const { return device_; }

private:
    void* memory_ = nullptr;
    int device_ = 0;
};

} // namespace detrt
