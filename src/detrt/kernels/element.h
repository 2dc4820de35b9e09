/* What the numbers of a tensor are. The kernels' C interface knows tensors by address, sizes and one of these. */
#ifndef DETRT_ELEMENT_H
#define DETRT_ELEMENT_H

typedef enum DetrtElement {
    DETRT_FLOAT32 = 0,
    DETRT_FLOAT16 = 1,
    DETRT_BFLOAT16 = 2,
    DETRT_INT8 = 3
} DetrtElement;

#endif
