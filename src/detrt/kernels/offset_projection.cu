// The sampling offsets and attention weights of deformable attention from INT8 queries: offset_projection.h.
//
// The problem is small (300 x 288 x 256 in RT-DETRv2-R18) and bound by latency: what counts is that each warp asks for all
// it needs at once. So no shared memory and no barriers: a warp makes 16 rows x 16 columns of the result, and its lanes
// read their parts of both matrices straight into the registers that the tensor cores take them from, 16 bytes at a time.
// The four warps of a block are neighbours, two by two: what one of them has read, another finds in the L1 cache.
//
// That works since a sum over the depth may be taken in any order. The product wants of a lane 4 bytes each from eight
// places of a row; the lane takes 16 bytes from each of two instead, and calls their words by those places' names. Columns
// are renamed in the same way, so that those which a lane ends up with are neighbours and are written as one.
//
// All reads come before the first use of what was read, in the source too: a compiler that meets bytes being sorted
// between two reads waits for each (this kernel's first form did, 24 times in a row).
//
// Compiles with nvcc, with its launcher, and with NVRTC, without.

#include "offset_projection.h"

#include "numbers.cuh"

namespace detrt {
namespace projection {

constexpr int kWarpRows = 16;
constexpr int kTiles = 2;  // products across a warp's columns
constexpr int kWarpColumns = 8 * kTiles;
constexpr int kAcross = DETRT_OFFSET_PROJECTION_COLUMNS / kWarpColumns;  // warps beside each other in a block
constexpr int kLaneColumns = 2 * kTiles;  // that one lane ends up with, in each of two rows
constexpr int kChunk = 64;                // of the depth: 16 codes for each of a row's four lanes, two products
constexpr int kChunks = 4;                // that are asked for at once, of int8; as many bytes of others
constexpr int kExactDepth = 1024;         // 2^7 * 2^7 * 1024 is 2^24: up to it FP32 holds every sum
static_assert(DETRT_OFFSET_PROJECTION_ROWS * kAcross == DETRT_OFFSET_PROJECTION_THREADS / 32 * kWarpRows, "");

using Words = Pack<int, 4>;  // 16 bytes

__device__ inline void take(unsigned word, int, float32& number) { number = __uint_as_float(word); }
__device__ inline void take(unsigned word, int place, float16& number) { number.bits = word >> 16 * place & 0xffff; }
__device__ inline void take(unsigned word, int place, bfloat16& number) { number.bits = word >> 16 * place & 0xffff; }

__device__ inline int code_of(int8 code, float) { return code; }

template <typename Float>
__device__ int code_of(Float number, float scale) {  // clipping first is the same: the ends are whole
    return __float2int_rn(fminf(fmaxf(__fdiv_rn(to_float(number), scale), -128.0f), 127.0f));
}

// 16 neighbours of a row, as they were read.
template <typename Number>
struct Sixteen {
    Words words[sizeof(Number)];

    // From place `k` on; zeros beyond the row's end, which lies inside of no 16.
    __device__ static Sixteen from(const Number* row, int k, int depth) {
        Sixteen all = {};
        if (k < depth)
#pragma unroll
            for (int i = 0; i < static_cast<int>(sizeof(Number)); ++i)
                all.words[i] = reinterpret_cast<const Words*>(row + k)[i];
        return all;
    }

    __device__ Words codes(float scale) const {
        if constexpr (sizeof(Number) == 1) {
            return words[0];
        } else {
            Words codes = {};
            constexpr int kInWord = 4 / sizeof(Number);
#pragma unroll
            for (int i = 0; i < 16; ++i) {
                Number number;
                take(words[i / kInWord / 4].numbers[i / kInWord % 4], i % kInWord, number);
                codes.numbers[i / 4] |= (code_of(number, scale) & 0xff) << 8 * (i % 4);
            }
            return codes;
        }
    }
};

// The same of a row that ends anywhere, in codes. Such depths are rare: this is small, not fast.
template <typename Number>
struct Ragged {
    const Number* row;
    int k, depth;

    __device__ static Ragged from(const Number* row, int k, int depth) { return {row, k, depth}; }

    __device__ Words codes(float scale) const {
        Words codes = {};
#pragma unroll
        for (int word = 0; word < 4; ++word)
#pragma unroll 1
            for (int i = k + 4 * word; i < min(depth, k + 4 * word + 4); ++i)
                codes.numbers[word] |= (code_of(row[i], scale) & 0xff) << 8 * (i % 4);
        return codes;
    }
};

// The warp's part of x weight^T, in two sums, so that a product need not wait for the one before. Each lane has two rows of
// x and a few of the weight.
template <template <typename> class Piece, int at_once, typename X>
__device__ void accumulate(int (&sums)[2][kTiles][4], const X* const (&rows)[2], const int8* const (&columns)[kTiles],
                           int member, int depth, float x_scale) {
#pragma unroll 1
    for (int start = 0; start < depth; start += at_once * kChunk) {
        Piece<X> a[at_once][2];
        Piece<int8> b[at_once][kTiles];
#pragma unroll
        for (int i = 0; i < at_once; ++i) {
            const int k = start + i * kChunk + member * 16;
#pragma unroll
            for (int row = 0; row < 2; ++row) a[i][row] = Piece<X>::from(rows[row], k, depth);
#pragma unroll
            for (int j = 0; j < kTiles; ++j) b[i][j] = Piece<int8>::from(columns[j], k, depth);
        }
#pragma unroll
        for (int i = 0; i < at_once; ++i) {
            const Words first = a[i][0].codes(x_scale), second = a[i][1].codes(x_scale);
#pragma unroll
            for (int j = 0; j < kTiles; ++j) {
                const Words column = b[i][j].codes(1);
#pragma unroll
                for (int half = 0; half < 4; half += 2)
                    multiply_add(sums[half / 2][j], first.numbers[half], second.numbers[half], first.numbers[half + 1],
                                 second.numbers[half + 1], column.numbers[half], column.numbers[half + 1]);
            }
        }
    }
}

// A number of twice FP32's precision: high + low, high being the FP32 nearest to it.
struct Double {
    float high, low;
};

__device__ inline Double product(float a, float b) {
    const float high = __fmul_rn(a, b);
    return {high, __fmaf_rn(a, b, -high)};
}

// `exact`: FP32 holds the sum.
__device__ inline Double scaled_and_shifted(int sum, bool exact, const Double& scale, float bias) {
    const float whole = __int2float_rn(sum);
    const float rest = exact ? 0.0f : __int2float_rn(sum - __float2int_rn(whole));
    const Double scaled = product(whole, scale.high);
    const float small = __fmaf_rn(whole, scale.low, __fmaf_rn(rest, scale.high, scaled.low));

    const float top = __fadd_rn(scaled.high, bias);  // Knuth's two-sum
    const float taken = __fsub_rn(top, scaled.high);
    const float lost = __fadd_rn(__fsub_rn(scaled.high, __fsub_rn(top, taken)), __fsub_rn(bias, taken));
    const float low = __fadd_rn(lost, small);
    const float high = __fadd_rn(top, low);
    if (!(fabsf(top) < __uint_as_float(0x7f800000u))) return {top, 0};  // infinite, or not a number
    return {high, __fadd_rn(__fsub_rn(top, high), low)};
}

__device__ inline void round_to(float32& number, const Double& value) { number = value.high; }

// To 16 bits in one rounding: of the two FP32 around the value take the one whose last bit is set; it never lies halfway
// between two numbers of 16 bits, and on the same side of halfway as the value (Boldo and Melquiond's rounding to odd).
template <typename Number>
__device__ void round_to(Number& number, const Double& value) {
    unsigned bits = __float_as_uint(value.high);
    if (value.low != 0 && bits % 2 == 0) bits += (value.low > 0) == (value.high > 0) ? 1 : -1;
    set(number, __uint_as_float(bits));
}

template <typename X, typename Output>
__device__ void offset_projection(const DetrtOffsetProjection& problem) {
    const int offset_slices = (problem.offsets.columns + DETRT_OFFSET_PROJECTION_COLUMNS - 1) / DETRT_OFFSET_PROJECTION_COLUMNS;
    const bool is_offsets = static_cast<int>(blockIdx.y) < offset_slices;
    const DetrtLinear linear = is_offsets ? problem.offsets : problem.attention;
    const int slice = blockIdx.y - (is_offsets ? 0 : offset_slices);

    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int group = lane / 4, member = lane % 4;
    const int warp_row = blockIdx.x * DETRT_OFFSET_PROJECTION_ROWS + warp / kAcross * kWarpRows;
    const int warp_column = slice * DETRT_OFFSET_PROJECTION_COLUMNS + warp % kAcross * kWarpColumns;
    if (warp_row >= problem.rows || warp_column >= linear.columns) return;  // the whole warp
    const int depth = problem.depth;

    const X* rows[2];
    const int8* columns[kTiles];
#pragma unroll
    for (int i = 0; i < 2; ++i)  // beyond the last row, the last one again, unwritten
        rows[i] = static_cast<const X*>(problem.x) +
                  static_cast<long long>(min(warp_row + group + 8 * i, problem.rows - 1)) * depth;
#pragma unroll
    for (int j = 0; j < kTiles; ++j) {
        const int column = warp_column + group / 2 * kLaneColumns + 2 * j + group % 2;
        columns[j] = linear.weight + static_cast<long long>(min(column, linear.columns - 1)) * depth;
    }
    const int first_column = warp_column + member * kLaneColumns;
    float weight_scales[kLaneColumns], biases[kLaneColumns];
#pragma unroll
    for (int j = 0; j < kLaneColumns; ++j) {
        const int column = min(first_column + j, linear.columns - 1);
        weight_scales[j] = linear.scale[column];
        biases[j] = linear.bias[column];
    }

    int sums[2][kTiles][4] = {};
    if (depth % 16 == 0)
        accumulate<Sixteen, kChunks / static_cast<int>(sizeof(X))>(sums, rows, columns, member, depth, problem.x_scale);
    else
        accumulate<Ragged, 1>(sums, rows, columns, member, depth, problem.x_scale);

    Double scales[kLaneColumns];
#pragma unroll
    for (int j = 0; j < kLaneColumns; ++j) scales[j] = product(problem.x_scale, weight_scales[j]);
    const bool exact = depth <= kExactDepth;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const int row = warp_row + group + 8 * i;
        if (row >= problem.rows) break;
        Output results[kLaneColumns];
#pragma unroll
        for (int j = 0; j < kLaneColumns; ++j) {
            const int sum = sums[0][j / 2][2 * i + j % 2] + sums[1][j / 2][2 * i + j % 2];
            round_to(results[j], scaled_and_shifted(sum, exact, scales[j], biases[j]));
        }
        Output* out = static_cast<Output*>(linear.output) + static_cast<long long>(row) * linear.columns + first_column;
        if (linear.columns % kLaneColumns == 0) {
            if (first_column >= linear.columns) break;
            constexpr int kPiece = kLaneColumns < kWide<Output> ? kLaneColumns : kWide<Output>;
#pragma unroll
            for (int j = 0; j < kLaneColumns; j += kPiece) {
                Pack<Output, kPiece> piece;
#pragma unroll
                for (int e = 0; e < kPiece; ++e) piece.numbers[e] = results[j + e];
                *reinterpret_cast<Pack<Output, kPiece>*>(out + j) = piece;
            }
        } else {
#pragma unroll
            for (int j = 0; j < kLaneColumns; ++j)
                if (first_column + j < linear.columns) out[j] = results[j];
        }
    }
}

}  // namespace projection
}  // namespace detrt

// 512 threads on a multiprocessor are 128 registers for each: room for all that is asked for. Left to itself, the compiler
// takes 56 and waits in between.
#define DETRT_KERNEL(X, OUTPUT)                                                                              \
    extern "C" __global__ void                                                                               \
        __launch_bounds__(DETRT_OFFSET_PROJECTION_THREADS, 512 / DETRT_OFFSET_PROJECTION_THREADS)            \
        detrt_offset_projection_##X##_##OUTPUT(const __grid_constant__ DetrtOffsetProjection problem) {      \
        detrt::projection::offset_projection<detrt::X, detrt::OUTPUT>(problem);                              \
    }
DETRT_KERNEL(int8, float32)
DETRT_KERNEL(int8, float16)
DETRT_KERNEL(int8, bfloat16)
DETRT_KERNEL(float32, float32)
DETRT_KERNEL(float16, float32)
DETRT_KERNEL(float16, float16)
DETRT_KERNEL(bfloat16, float32)
DETRT_KERNEL(bfloat16, bfloat16)
#undef DETRT_KERNEL

#ifndef __CUDACC_RTC__

#include <cstdint>

namespace {

using Kernel = void (*)(DetrtOffsetProjection);

Kernel kernel_of(DetrtElement x, DetrtElement output) {
    static constexpr Kernel kKernels[4][3] = {  // both in the order of DetrtElement
        {detrt_offset_projection_float32_float32, nullptr, nullptr},
        {detrt_offset_projection_float16_float32, detrt_offset_projection_float16_float16, nullptr},
        {detrt_offset_projection_bfloat16_float32, nullptr, detrt_offset_projection_bfloat16_bfloat16},
        {detrt_offset_projection_int8_float32, detrt_offset_projection_int8_float16, detrt_offset_projection_int8_bfloat16}};
    const unsigned row = x, column = output;
    return row < 4 && column < 3 ? kKernels[row][column] : nullptr;
}

bool aligned(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0; }

cudaError_t judged(const DetrtLinear& linear) {
    if (linear.columns < 1 || !linear.weight || !linear.scale || !linear.bias || !linear.output) return cudaErrorInvalidValue;
    const bool all = aligned(linear.weight) && aligned(linear.scale) && aligned(linear.bias) && aligned(linear.output);
    return all ? cudaSuccess : cudaErrorMisalignedAddress;
}

}  // namespace

extern "C" cudaError_t detrt_offset_projection(const DetrtOffsetProjection* problem, cudaStream_t stream) {
    if (!problem || problem->rows < 0 || problem->depth < 1 || problem->depth > 65536) return cudaErrorInvalidValue;
    const Kernel kernel = kernel_of(problem->x_element, problem->output_element);
    if (!kernel || !(problem->x_scale > 0) || !problem->x) return cudaErrorInvalidValue;
    for (const DetrtLinear* linear : {&problem->offsets, &problem->attention})
        if (const cudaError_t error = judged(*linear); error != cudaSuccess) return error;
    if (!aligned(problem->x)) return cudaErrorMisalignedAddress;
    if (problem->rows == 0) return cudaSuccess;

    const auto pieces = [](int total, int piece) { return static_cast<unsigned>((total + piece - 1LL) / piece); };
    const dim3 grid(pieces(problem->rows, DETRT_OFFSET_PROJECTION_ROWS),
                    pieces(problem->offsets.columns, DETRT_OFFSET_PROJECTION_COLUMNS) +
                        pieces(problem->attention.columns, DETRT_OFFSET_PROJECTION_COLUMNS));
    void* arguments[] = {const_cast<DetrtOffsetProjection*>(problem)};
    return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, dim3(DETRT_OFFSET_PROJECTION_THREADS), arguments, 0,
                            stream);
}

#endif
