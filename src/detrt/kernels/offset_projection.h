/* The two INT8 linear layers of deformable attention that read the same queries, in one kernel:
 *
 *     acc[m, n] = sum over k of x[m, k] * weight[n, k]                         int32, exact
 *     out[m, n] = acc[m, n] * (x_scale * weight_scale[n]) + bias[n]            rounded once, to nearest
 *
 * Every output is the number of its type that is nearest to the exact value of the formula (to within 2^-40 of the
 * larger of its terms): no intermediate rounding shows. Zero points are 0, as TensorRT demands of INT8.
 *
 * All pointers are to device memory and on 16 bytes; nothing is allocated, nothing waits, every byte of the outputs is
 * written once and nothing else is. The call may be captured in a CUDA graph and made from any number of threads.
 */
#ifndef DETRT_OFFSET_PROJECTION_H
#define DETRT_OFFSET_PROJECTION_H

#include "element.h"

/* One of the layers. */
typedef struct DetrtLinear {
    const signed char* weight; /* int8 [columns, depth] */
    const float* scale;        /* [columns], of the weights */
    const float* bias;         /* [columns] */
    void* output;              /* [rows, columns], of the type `output_element` */
    int columns;
} DetrtLinear;

typedef struct DetrtOffsetProjection {
    const void* x;         /* [rows, depth]: int8 codes; or floats, which become clip(round_half_even(x / x_scale)) */
    DetrtLinear offsets;   /* R18: 8 heads * 3 levels * 4 points * 2 = 192 columns */
    DetrtLinear attention; /* R18: 8 heads * 3 levels * 4 points = 96 columns, before their softmax */
    int rows;              /* images * queries; 0 is nothing to do */
    int depth;             /* 1..65536; multiples of 16 are read in pieces of 16 */
    float x_scale;         /* > 0 */
    DetrtElement x_element;      /* any */
    DetrtElement output_element; /* FLOAT32, FLOAT16 or BFLOAT16; of float x the same or FLOAT32 */
} DetrtOffsetProjection;

/* For those who launch the kernels of offset_projection.cu by name, `detrt_offset_projection_<x>_<output>`, <x> being
 * int8, float32, float16 or bfloat16 and <output> one that goes with it; the argument is the struct, by value:
 * grid (ceil(rows / ROWS), ceil(offsets.columns / COLUMNS) + ceil(attention.columns / COLUMNS)), THREADS in a block. */
#define DETRT_OFFSET_PROJECTION_ROWS 32
#define DETRT_OFFSET_PROJECTION_COLUMNS 32
#define DETRT_OFFSET_PROJECTION_THREADS 128

#ifndef __CUDACC_RTC__
#include <cuda_runtime_api.h>
#ifdef __cplusplus
extern "C"
#endif
/* Enqueue it. cudaErrorInvalidValue for a size, type or null pointer, cudaErrorMisalignedAddress for a pointer, that
 * does not keep to the above; else what the launch said. */
cudaError_t detrt_offset_projection(const DetrtOffsetProjection* problem, cudaStream_t stream);
#endif

#endif
