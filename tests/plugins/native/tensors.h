// Tensors on the host, in the types that TensorRT knows, and numbers to fill them with.
#pragma once

#include <NvInferRuntime.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

using nvinfer1::DataType;
using nvinfer1::Dims;

#if NV_TENSORRT_MAJOR >= 9
constexpr bool kHasBfloat16 = true;
constexpr DataType kBfloat16 = DataType::kBF16;
#else
constexpr bool kHasBfloat16 = false;
constexpr DataType kBfloat16 = DataType::kBOOL; // stands for nothing
#endif

inline size_t width_of(DataType type) {
    return type == DataType::kFLOAT ? 4 : type == DataType::kINT8 ? 1 : 2;
}

inline Dims dims_of(std::vector<int> const& sizes) {
    Dims dims{};
    dims.nbDims = static_cast<int32_t>(sizes.size());
    for (size_t i = 0; i < sizes.size(); ++i) {
        dims.d[i] = sizes[i];
    }
    return dims;
}

inline size_t count_of(Dims const& dims) {
    size_t count = 1;
    for (int32_t i = 0; i < dims.nbDims; ++i) {
        count *= static_cast<size_t>(dims.d[i]);
    }
    return count;
}

struct Tensor {
    Dims dims{};
    DataType type = DataType::kFLOAT;
    std::vector<char> bytes;

    Tensor(std::vector<int> const& sizes, DataType kind) : dims(dims_of(sizes)), type(kind) {
        bytes.resize(count() * width_of(type));
    }

    size_t count() const { return count_of(dims); }

    double operator[](size_t i) const {
        char const* at = bytes.data() + i * width_of(type);
        switch (type) {
        case DataType::kFLOAT: return read<float>(at);
        case DataType::kHALF: return __half2float(read<__half>(at));
        case DataType::kINT8: return static_cast<signed char>(*at);
        default: return __bfloat162float(read<__nv_bfloat16>(at));
        }
    }

    void set(size_t i, double value) {
        char* at = bytes.data() + i * width_of(type);
        switch (type) {
        case DataType::kFLOAT: write(at, static_cast<float>(value)); break;
        case DataType::kHALF: write(at, __float2half_rn(static_cast<float>(value))); break;
        case DataType::kINT8: *at = static_cast<char>(static_cast<int>(value)); break;
        default: write(at, __float2bfloat16_rn(static_cast<float>(value)));
        }
    }

private:
    template <typename T>
    static T read(char const* at) {
        T value;
        std::memcpy(&value, at, sizeof(T));
        return value;
    }

    template <typename T>
    static void write(char* at, T value) {
        std::memcpy(at, &value, sizeof(T));
    }
};

/// Largest relative step of a type, for numbers around 1.
inline double step_of(DataType type) {
    return type == DataType::kFLOAT ? 0x1p-24 : type == DataType::kHALF ? 0x1p-11 : 0x1p-8;
}

inline Tensor drawn(std::vector<int> const& sizes, DataType type, std::mt19937& generator, double low, double high) {
    Tensor tensor(sizes, type);
    std::uniform_real_distribution<double> numbers(low, high);
    for (size_t i = 0; i < tensor.count(); ++i) {
        tensor.set(i, numbers(generator));
    }
    return tensor;
}
