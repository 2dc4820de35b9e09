// The sampling offsets and attention weights of deformable attention from INT8 queries: offset_projection.h.
//
// The problem is small (300 x 288 x 256 in RT-DETRv2-R18) and bound by latency: what counts is that each warp asks for all
// it needs at once. So no shared memory and no barriers: a warp makes 16 rows x 32 columns of the result, and its lanes
// read their parts of both matrices straight into the registers that the tensor cores take them from, 16 bytes at a time.
//
// That works since a sum over the depth may be taken in any order. The product wants of a lane 4 bytes each from eight
// places of a row; the lane takes 16 bytes from each of two instead, and calls their words by those places' names. Columns
// are renamed in the same way, so that the eight which a lane ends up with are neighbours and are written as one.
//
// Compiles with nvcc, with its launcher, and with NVRTC, without.

#include "offset_projection.h"

#include "numbers.cuh"

namespace detrt {
namespace projection {

constexpr int kWarpRows = 16;
constexpr int kColumns = DETRT_OFFSET_PROJECTION_COLUMNS;
constexpr int kTiles = kColumns / 8;       // products across a warp's columns
constexpr int kLaneColumns = 2 * kTiles;   // that one lane ends up with, in each of two rows
constexpr int kChunk = 64;                 // of the depth: 16 bytes for each of a row's four lanes, two products
constexpr int kChunks = 4;                 // that are asked for at once, of int8; as many bytes of others
static_assert(DETRT_OFFSET_PROJECTION_ROWS == DETRT_OFFSET_PROJECTION_THREADS / 32 * kWarpRows, "");

using Codes = Pack<int, 4>;  // 16 int8, four in a word

__device__ inline int8 code_of(int8 code, float) { return code; }

template <typename Float>
__device__ int8 code_of(Float number, float scale) {  // clipping first is the same: the ends are whole
    return static_cast<int8>(__float2int_rn(fminf(fmaxf(__fdiv_rn(to_float(number), scale), -128.0f), 127.0f)));
}

// 16 numbers of a row from place `k` on as codes; zeros beyond the row's end, which lies inside of no 16.
template <typename Number>
__device__ Codes codes_of(const Number* row, int k, int depth, float scale) {
    using Piece = Pack<Number, kWide<Number>>;
    union {
        Codes codes;
        int8 each[16];
    } result = {};
    if (k < depth)
#pragma unroll
        for (int i = 0; i < 16; i += kWide<Number>) {
            const Piece piece = *reinterpret_cast<const Piece*>(row + k + i);
#pragma unroll
            for (int j = 0; j < kWide<Number>; ++j) result.each[i + j] = code_of(piece.numbers[j], scale);
        }
    return result.codes;
}

// The same of a row that ends anywhere. Such depths are rare: this is small, not fast.
template <typename Number>
__device__ Codes ragged_codes_of(const Number* row, int k, int depth, float scale) {
    Codes codes = {};
#pragma unroll
    for (int word = 0; word < 4; ++word)
#pragma unroll 1
        for (int i = k + 4 * word; i < min(depth, k + 4 * word + 4); ++i)
            codes.numbers[word] |= (code_of(row[i], scale) & 0xff) << 8 * (i % 4);
    return codes;
}

// The warp's part of x weight^T. Each lane has two rows of x and a few of the weight.
template <bool whole, typename X>
__device__ void accumulate(int (&sums)[kTiles][4], const X* const (&rows)[2], const int8* const (&columns)[kTiles],
                           int member, int depth, float x_scale) {
    constexpr int kAtOnce = whole ? kChunks / sizeof(X) : 1;
#pragma unroll 1
    for (int start = 0; start < depth; start += kAtOnce * kChunk) {
        Codes a[kAtOnce][2], b[kAtOnce][kTiles];
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) {
            const int k = start + i * kChunk + member * 16;
#pragma unroll
            for (int row = 0; row < 2; ++row)
                a[i][row] = whole ? codes_of(rows[row], k, depth, x_scale) : ragged_codes_of(rows[row], k, depth, x_scale);
#pragma unroll
            for (int j = 0; j < kTiles; ++j)
                b[i][j] = whole ? codes_of(columns[j], k, depth, 1) : ragged_codes_of(columns[j], k, depth, 1);
        }
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i)
#pragma unroll
            for (int j = 0; j < kTiles; ++j)
#pragma unroll
                for (int half = 0; half < 4; half += 2)
                    multiply_add(sums[j], a[i][0].numbers[half], a[i][1].numbers[half], a[i][0].numbers[half + 1],
                                 a[i][1].numbers[half + 1], b[i][j].numbers[half], b[i][j].numbers[half + 1]);
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

__device__ inline Double scaled_and_shifted(int sum, const Double& scale, float bias) {
    const float whole = __int2float_rn(sum);
    const float rest = __int2float_rn(sum - __float2int_rn(whole));  // 0 up to 2^24
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
    const int offset_slices = (problem.offsets.columns + kColumns - 1) / kColumns;
    const bool is_offsets = static_cast<int>(blockIdx.y) < offset_slices;
    const DetrtLinear linear = is_offsets ? problem.offsets : problem.attention;
    const int slice = blockIdx.y - (is_offsets ? 0 : offset_slices);

    const int lane = threadIdx.x % 32;
    const int group = lane / 4, member = lane % 4;
    const int first_row = blockIdx.x * DETRT_OFFSET_PROJECTION_ROWS + threadIdx.x / 32 * kWarpRows;
    if (first_row >= problem.rows) return;  // the whole warp
    const int depth = problem.depth;

    const X* rows[2];
    const int8* columns[kTiles];
#pragma unroll
    for (int i = 0; i < 2; ++i)  // beyond the last row, the last one again, unwritten
        rows[i] = static_cast<const X*>(problem.x) +
                  static_cast<long long>(min(first_row + group + 8 * i, problem.rows - 1)) * depth;
#pragma unroll
    for (int j = 0; j < kTiles; ++j) {
        const int column = slice * kColumns + group / 2 * kLaneColumns + 2 * j + group % 2;
        columns[j] = linear.weight + static_cast<long long>(min(column, linear.columns - 1)) * depth;
    }
    const int first_column = slice * kColumns + member * kLaneColumns;
    Double scales[kLaneColumns];
    float biases[kLaneColumns];
#pragma unroll
    for (int j = 0; j < kLaneColumns; ++j) {
        const int column = min(first_column + j, linear.columns - 1);
        scales[j] = product(problem.x_scale, linear.scale[column]);
        biases[j] = linear.bias[column];
    }

    int sums[kTiles][4] = {};
    if (depth % 16 == 0)
        accumulate<true>(sums, rows, columns, member, depth, problem.x_scale);
    else
        accumulate<false>(sums, rows, columns, member, depth, problem.x_scale);

#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const int row = first_row + group + 8 * i;
        if (row >= problem.rows) break;
        Output results[kLaneColumns];
#pragma unroll
        for (int j = 0; j < kLaneColumns; ++j)
            round_to(results[j], scaled_and_shifted(sums[j / 2][2 * i + j % 2], scales[j], biases[j]));
        Output* out = static_cast<Output*>(linear.output) + static_cast<long long>(row) * linear.columns + first_column;
        if (linear.columns % kLaneColumns == 0) {
            if (first_column >= linear.columns) break;
            using Piece = Pack<Output, kWide<Output>>;
#pragma unroll
            for (int j = 0; j < kLaneColumns; j += kWide<Output>) {
                Piece piece;
#pragma unroll
                for (int e = 0; e < kWide<Output>; ++e) piece.numbers[e] = results[j + e];
                *reinterpret_cast<Piece*>(out + j) = piece;
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

#define DETRT_KERNEL(X, OUTPUT)                                                                              \
    extern "C" __global__ void __launch_bounds__(DETRT_OFFSET_PROJECTION_THREADS)                            \
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
