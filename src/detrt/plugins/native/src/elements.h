// TensorRT's data types as the kernels' elements.
#pragma once

#include "version.h"

#include "element.h"

#include <stdexcept>

namespace detrt {

inline bool is_float(nvinfer1::DataType type) {
#if DETRT_HAS_BFLOAT16
    if (type == nvinfer1::DataType::kBF16) {
        return true;
    }
#endif
    return type == nvinfer1::DataType::kFLOAT || type == nvinfer1::DataType::kHALF;
}

inline DetrtElement element_of(nvinfer1::DataType type) {
    switch (type) {
    case nvinfer1::DataType::kFLOAT: return DETRT_FLOAT32;
    case nvinfer1::DataType::kHALF: return DETRT_FLOAT16;
    case nvinfer1::DataType::kINT8: return DETRT_INT8;
#if DETRT_HAS_BFLOAT16
    case nvinfer1::DataType::kBF16: return DETRT_BFLOAT16;
#endif
    default: throw std::invalid_argument("a tensor is of a type that the kernels do not have");
    }
}

inline int64_t volume(nvinfer1::Dims const& dims, int32_t from = 0) {
    int64_t product = 1;
    for (int32_t i = from; i < dims.nbDims; ++i) {
        product *= dims.d[i];
    }
    return product;
}

} // namespace detrt
