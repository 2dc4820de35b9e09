// The numbers that tensors are made of, by the names that kernels are known by, and several of them read as one.
#pragma once

#include "machine.cuh"

namespace detrt {

using int8 = signed char;
using float32 = float;

struct float16 {
    unsigned short bits;
};

struct bfloat16 {
    unsigned short bits;
};

__device__ inline float to_float(float32 number) { return number; }
__device__ inline float to_float(float16 number) { return from_half_bits(number.bits); }
__device__ inline float to_float(bfloat16 number) { return __uint_as_float(static_cast<unsigned>(number.bits) << 16); }

// N numbers that are read or written in one piece, where they lie on a multiple of their size.
template <typename Number, int N>
struct alignas(sizeof(Number) * N) Pack {
    Number numbers[N];
};

// The same, kept for later: halves in whole words. Kept one by one, the compiler takes them apart behind each read, in the
// same registers, so that every read waits for the one before.
template <typename Number, int N, bool Halves = sizeof(Number) == 2 && N % 2 == 0>
struct alignas(sizeof(Number) * N) Kept {
    Number numbers[N];

    __device__ float operator[](int n) const { return to_float(numbers[n]); }
};

template <typename Number, int N>
struct alignas(sizeof(Number) * N) Kept<Number, N, true> {
    unsigned words[N / 2];

    __device__ float operator[](int n) const {
        return to_float(Number{static_cast<unsigned short>(words[n / 2] >> 16 * (n % 2))});
    }
};

// How many numbers make the 16 bytes that a thread reads at most.
template <typename Number>
constexpr int kWide = 16 / sizeof(Number);

// The nearest number of the type; halfway, the even one.
__device__ inline void set(float32& number, float value) { number = value; }
__device__ inline void set(float16& number, float value) { number.bits = to_half_bits(value); }
__device__ inline void set(bfloat16& number, float value) {  // without the instruction, which Turing lacks
    const unsigned bits = __float_as_uint(value);
    const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    number.bits = static_cast<unsigned short>(nan ? 0x7fff : (bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

}  // namespace detrt
