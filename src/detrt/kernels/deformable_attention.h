/* Multi-scale deformable attention, from the projected queries to the weighted samples, in one kernel.
 *
 * For each image, query and head, with p over the points of all levels and l the level of p:
 *
 *     weight[p] = softmax over p of logits[p]
 *     place[p]  = centre + offsets[p] * (offset_scale / points[l]) * (w, h)     references are boxes (cx, cy, w, h)
 *               = centre + offsets[p] / (width[l], height[l])                   references are points (x, y)
 *     output    = sum over p of weight[p] * sample of the head's value map l at place[p]
 *
 * A place is in 0..1 over the map, 0 and 1 being the outer edges of its first and last cells (align_corners false). A
 * sample is bilinear, with zeros outside of the map; in the discrete form it is the cell floor(place * size + 0.5), held
 * inside of the map (RT-DETRv2's `_dsp` models). Sums are in FP32, rounded once to the type of the output. Places and
 * logits that are not numbers read nothing outside of the map.
 *
 * All pointers are to device memory and on 16 bytes; nothing is allocated, nothing waits, every byte of the output is
 * written once and nothing else is. The call may be captured in a CUDA graph and made from any number of threads.
 */
#ifndef DETRT_DEFORMABLE_ATTENTION_H
#define DETRT_DEFORMABLE_ATTENTION_H

#include "element.h"

#define DETRT_MAX_LEVELS 8

typedef struct DetrtLevel {
    int height, width; /* of the map, in cells */
    int points;        /* that each head samples in it; 0 is allowed */
} DetrtLevel;

typedef struct DetrtDeformableAttention {
    const void* value;      /* [batch, cells, heads, head_dim]: the maps' rows, level by level, as value_proj gives them */
    const void* references; /* [batch, queries, reference_size] */
    const void* offsets;    /* [batch, queries, heads, points of all levels, 2]: x, y */
    const void* logits;     /* [batch, queries, heads, points of all levels] */
    void* output;           /* [batch, queries, heads, head_dim] */
    int batch, queries, heads, head_dim; /* a batch or queries of 0 is nothing to do */
    int reference_size;     /* 4: boxes, 2: points */
    float offset_scale;     /* RT-DETRv2, D-FINE, DEIM: 0.5; with boxes only */
    int discrete;           /* nearest cell instead of bilinear */
    int level_count;        /* 1..DETRT_MAX_LEVELS */
    DetrtLevel levels[DETRT_MAX_LEVELS];
    DetrtElement element;          /* of value and output: FLOAT32, FLOAT16 or BFLOAT16 */
    DetrtElement sampling_element; /* of references, offsets and logits: the same or FLOAT32 */
} DetrtDeformableAttention;

/* For those who launch the kernels of deformable_attention.cu by name,
 * `detrt_deformable_attention_<element>_<sampling_element>_<wide or narrow>`; the argument is the struct, by value.
 * The wide kernels read 16 bytes at a time, and need head_dim in whole pieces of that; `vector` is its elements (8 of 16
 * bits, 4 of FP32; 1 in the narrow kernels). LANES = 4 * (1, 2, 4 or 8: the least not below head_dim / vector, or 8).
 * Grid (ceil(batch * queries * heads * LANES / THREADS)), THREADS in a block. */
#define DETRT_DEFORMABLE_ATTENTION_THREADS 128

#ifndef __CUDACC_RTC__
#include <cuda_runtime_api.h>
#ifdef __cplusplus
extern "C"
#endif
/* Enqueue it. cudaErrorInvalidValue for a size, type or null pointer, cudaErrorMisalignedAddress for a pointer, that
 * does not keep to the above; else what the launch said. */
cudaError_t detrt_deformable_attention(const DetrtDeformableAttention* problem, cudaStream_t stream);
#endif

#endif
