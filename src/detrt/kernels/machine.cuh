// What CUDA C++ has no words for: half floats without cuda_fp16.h, and the tensor cores' product of int8 matrices.
// A test that runs kernels on a CPU puts a file of this name, that says the same in C++, in its place.
#pragma once

namespace detrt {

__device__ inline float from_half_bits(unsigned short bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

__device__ inline unsigned short to_half_bits(float value) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

// sums += a b^T, by a warp: a is int8 16 x 32, b is int8 8 x 32, sums is int32 16 x 8. Lane 4 g + t holds
//   a: of rows g, g + 8, g, g + 8 the depths 4 t.., 4 t.., 16 + 4 t.., 16 + 4 t.., four in a word;
//   b: of row g the depths 4 t.. and 16 + 4 t..;     sums: of rows g, g, g + 8, g + 8 the columns 2 t, 2 t + 1, 2 t, 2 t + 1.
__device__ inline void multiply_add(int (&sums)[4], int a0, int a1, int a2, int a3, int b0, int b1) {
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
#else  // Turing: a quarter at a time
    const int a[4] = {a0, a1, a2, a3}, b[2] = {b0, b1};
#pragma unroll
    for (int i = 0; i < 4; ++i)
        asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
            : "+r"(sums[2 * (i % 2)]), "+r"(sums[2 * (i % 2) + 1])
            : "r"(a[i]), "r"(b[i / 2]));
#endif
}

}  // namespace detrt
