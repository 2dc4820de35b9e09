// Multi-scale deformable attention in one kernel: deformable_attention.h.
//
// What it costs is reading: 48 cells of 64 bytes for each head of each query in RT-DETRv2-R18 in FP16, from places that
// only the data know. So a thread asks for all four cells of a point at once, 16 bytes each, and keeps no more than that,
// so that many threads are there to ask. Divisions go without their usual branches.
//
// A group of lanes makes one head of one query: a row of 1, 2, 4 or 8 lanes reads a cell, each lane its piece of the
// channels, and four such rows share the points: row r takes points r, r + 4, ... Every lane works out its own points:
// the same few operations in a whole row cost less than passing results around. At the end the four rows are added up by
// shuffles. Nothing is in shared memory and nobody waits.
//
// A softmax needs the largest logit, to be safe from overflow. Each lane goes by the largest that it has met, scales its
// sums anew when it meets a larger one, and the rows agree at the end (Milakov and Gimelshein's online softmax).
//
// Compiles with nvcc, with its launcher, and with NVRTC, without.

#include "deformable_attention.h"

#include "numbers.cuh"

namespace detrt {
namespace attention {

constexpr int kRows = 4;         // of lanes that share the points of a head
constexpr int kMostAcross = 8;   // lanes of such a row; more channels take more turns
constexpr int kBlocks = 8;       // that a multiprocessor is to hold: 64 registers a thread
constexpr unsigned kAll = 0xffffffffu;
constexpr float kLowest = -3.402823466e38f;  // of FP32: differences from it are numbers, unlike those from -infinity

// Lanes of a row, for so many pieces of the channels.
__host__ __device__ constexpr int across_of(int pieces) {
    int across = 1;
    while (across < kMostAcross && across < pieces) across *= 2;
    return across;
}

// Goes through the points of a head, level by level.
struct Cursor {
    int level = 0;
    int end;        // of the level's points
    int first = 0;  // of the level's cells

    __device__ explicit Cursor(const DetrtDeformableAttention& problem) : end(problem.levels[0].points) {}

    // The level of a point; points come in rising order and there are levels enough.
    __device__ const DetrtLevel& to(int point, const DetrtDeformableAttention& problem) {
        while (point >= end) {
            first += problem.levels[level].height * problem.levels[level].width;
            end += problem.levels[++level].points;
        }
        return problem.levels[level];
    }
};

// Two neighbouring cells along an axis and how much of each a place takes: the hat function max(0, 1 - distance), which
// is bilinear inside of the map. The pair is held inside, so that beyond the border the hat falls to zero as if cells
// of zeros lay there.
struct Pair {
    int first;
    float weights[2];

    __device__ static Pair around(float place, int size) {
        const float at = fminf(fmaxf(place * size - 0.5f, -1.0f), static_cast<float>(size));  // not a number: -1
        const int first = max(0, min(static_cast<int>(floorf(at)), size - 2));
        const float distance = at - first;
        return {first, {fmaxf(0.0f, 1 - fabsf(distance)), size > 1 ? fmaxf(0.0f, 1 - fabsf(distance - 1)) : 0.0f}};
    }

    __device__ static Pair nearest(float place, int size) {
        const float at = fminf(fmaxf(floorf(place * size + 0.5f), 0.0f), static_cast<float>(size - 1));
        return {static_cast<int>(at), {1, 0}};
    }
};

// a / b to an ulp, exact where b is a power of two; b is in 1..2^24, and a is no infinity.
__device__ inline float quotient(float a, int b) {
    const float whole = __int2float_rn(b), inverse = __fdividef(1.0f, whole), close = a * inverse;
    return __fmaf_rn(__fmaf_rn(-close, whole, a), inverse, close);
}

template <typename Number, typename Sampling, int N>
__device__ void deformable_attention(const DetrtDeformableAttention& problem) {
    const int pieces = problem.head_dim / N;
    const int across = across_of(pieces);
    const unsigned thread = blockIdx.x * DETRT_DEFORMABLE_ATTENTION_THREADS + threadIdx.x;
    const unsigned groups = static_cast<unsigned>(problem.batch) * problem.queries * problem.heads;
    const unsigned group = thread / (kRows * across);
    const unsigned head_of_query = min(group, groups - 1);  // beyond the last, the last one again, unwritten
    const unsigned query = head_of_query / problem.heads;
    const int head = head_of_query % problem.heads;
    const int row = thread / across % kRows;

    int points = 0, cells = 0;
    for (int level = 0; level < problem.level_count; ++level) {
        points += problem.levels[level].points;
        cells += problem.levels[level].height * problem.levels[level].width;
    }
    const int cell_size = problem.heads * problem.head_dim;
    const Number* const map = static_cast<const Number*>(problem.value) +
                              static_cast<long long>(query / problem.queries) * cells * cell_size +
                              head * problem.head_dim;
    const Sampling* const logits =
        static_cast<const Sampling*>(problem.logits) + static_cast<long long>(head_of_query) * points;
    const auto* const offsets = static_cast<const Pack<Sampling, 2>*>(problem.offsets) +
                                static_cast<long long>(head_of_query) * points;
    float centre[2], size[2] = {};
    if (problem.reference_size == 4) {
        const auto box = static_cast<const Pack<Sampling, 4>*>(problem.references)[query];
#pragma unroll
        for (int axis = 0; axis < 2; ++axis) {
            centre[axis] = to_float(box.numbers[axis]);
            size[axis] = problem.offset_scale * to_float(box.numbers[2 + axis]);
        }
    } else {
        const auto point = static_cast<const Pack<Sampling, 2>*>(problem.references)[query];
#pragma unroll
        for (int axis = 0; axis < 2; ++axis) centre[axis] = to_float(point.numbers[axis]);
    }

    for (int first_piece = 0; first_piece < pieces; first_piece += across) {
        const int piece = first_piece + thread % across;
        const Number* const channels = map + min(piece, pieces - 1) * N;
        float largest = kLowest, total = 0, sums[N] = {};
        Cursor cursor(problem);
        for (int point = row; point < points; point += kRows) {
            const float logit = to_float(logits[point]);
            const Pack<Sampling, 2> offset = offsets[point];
            const DetrtLevel& level = cursor.to(point, problem);
            const int extent[2] = {level.width, level.height};
            Pair pairs[2];
#pragma unroll
            for (int axis = 0; axis < 2; ++axis) {
                const bool box = problem.reference_size == 4;
                const float unit = quotient(box ? size[axis] : 1.0f, box ? level.points : extent[axis]);
                const float place = centre[axis] + to_float(offset.numbers[axis]) * unit;
                pairs[axis] = problem.discrete ? Pair::nearest(place, extent[axis]) : Pair::around(place, extent[axis]);
            }
            const long long first_cell = cursor.first + pairs[1].first * level.width + pairs[0].first;
            float weights[4];
            Kept<Number, N> read[4] = {};  // zeros where the weight is 0: nothing is read there
#pragma unroll
            for (int corner = 0; corner < 4; ++corner) {
                const int right = corner % 2, below = corner / 2;
                weights[corner] = pairs[0].weights[right] * pairs[1].weights[below];
                if (weights[corner] != 0)
                    read[corner] = *reinterpret_cast<const Kept<Number, N>*>(
                        channels + (first_cell + below * level.width + right) * cell_size);
            }

            const float met = fmaxf(largest, logit);
            const float shrink = expf(largest - met);
            largest = met;
            total *= shrink;
#pragma unroll
            for (int n = 0; n < N; ++n) sums[n] *= shrink;
            const float weight = expf(logit - largest);
            total += weight;
#pragma unroll
            for (int corner = 0; corner < 4; ++corner) {
                const float share = weight * weights[corner];
#pragma unroll
                for (int n = 0; n < N; ++n) sums[n] += share * read[corner][n];
            }
        }

        float met = largest;
        for (int rows = 1; rows < kRows; rows *= 2) met = fmaxf(met, __shfl_xor_sync(kAll, met, rows * across));
        const float shrink = expf(largest - met);
        total *= shrink;
#pragma unroll
        for (int n = 0; n < N; ++n) sums[n] *= shrink;
        for (int rows = 1; rows < kRows; rows *= 2) {
            total += __shfl_xor_sync(kAll, total, rows * across);
#pragma unroll
            for (int n = 0; n < N; ++n) sums[n] += __shfl_xor_sync(kAll, sums[n], rows * across);
        }
        if (row == 0 && group < groups && piece < pieces) {
            Pack<Number, N> result;
            const float part = 1 / total;
#pragma unroll
            for (int n = 0; n < N; ++n) set(result.numbers[n], sums[n] * part);
            static_cast<Pack<Number, N>*>(problem.output)[static_cast<long long>(group) * pieces + piece] = result;
        }
    }
}

}  // namespace attention
}  // namespace detrt

#define DETRT_KERNEL(NUMBER, SAMPLING, WIDTH, N)                                                               \
    extern "C" __global__ void __launch_bounds__(DETRT_DEFORMABLE_ATTENTION_THREADS, detrt::attention::kBlocks) \
        detrt_deformable_attention_##NUMBER##_##SAMPLING##_##WIDTH(                                            \
            const __grid_constant__ DetrtDeformableAttention problem) {                                        \
        detrt::attention::deformable_attention<detrt::NUMBER, detrt::SAMPLING, N>(problem);                    \
    }
#define DETRT_KERNELS(NUMBER, SAMPLING)                               \
    DETRT_KERNEL(NUMBER, SAMPLING, wide, detrt::kWide<detrt::NUMBER>) \
    DETRT_KERNEL(NUMBER, SAMPLING, narrow, 1)
DETRT_KERNELS(float32, float32)
DETRT_KERNELS(float16, float16)
DETRT_KERNELS(float16, float32)
DETRT_KERNELS(bfloat16, bfloat16)
DETRT_KERNELS(bfloat16, float32)
#undef DETRT_KERNELS
#undef DETRT_KERNEL

#ifndef __CUDACC_RTC__

#include <cstdint>

namespace {

using Kernel = void (*)(DetrtDeformableAttention);

int wide_of(const DetrtDeformableAttention& problem) { return problem.element == DETRT_FLOAT32 ? 4 : 8; }

bool is_wide(const DetrtDeformableAttention& problem) { return problem.head_dim % wide_of(problem) == 0; }

Kernel kernel_of(const DetrtDeformableAttention& problem) {
#define DETRT_KERNELS(NUMBER, SAMPLING)                           \
    {detrt_deformable_attention_##NUMBER##_##SAMPLING##_narrow,   \
     detrt_deformable_attention_##NUMBER##_##SAMPLING##_wide}
    static constexpr Kernel kSame[3][2] = {DETRT_KERNELS(float32, float32), DETRT_KERNELS(float16, float16),
                                           DETRT_KERNELS(bfloat16, bfloat16)};  // in the order of DetrtElement
    static constexpr Kernel kFloat[3][2] = {DETRT_KERNELS(float32, float32), DETRT_KERNELS(float16, float32),
                                            DETRT_KERNELS(bfloat16, float32)};
#undef DETRT_KERNELS
    const unsigned element = problem.element;
    if (element > DETRT_BFLOAT16) return nullptr;
    if (problem.sampling_element == problem.element) return kSame[element][is_wide(problem)];
    return problem.sampling_element == DETRT_FLOAT32 ? kFloat[element][is_wide(problem)] : nullptr;
}

bool aligned(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0; }

bool sensible(const DetrtDeformableAttention& problem) {
    if (problem.batch < 0 || problem.queries < 0 || problem.heads < 1 || problem.head_dim < 1) return false;
    if (problem.reference_size != 2 && problem.reference_size != 4) return false;
    if (problem.level_count < 1 || problem.level_count > DETRT_MAX_LEVELS) return false;
    long long points = 0, cells = 0;
    for (int level = 0; level < problem.level_count; ++level) {
        const DetrtLevel& map = problem.levels[level];
        if (map.height < 1 || map.width < 1 || map.points < 0) return false;
        points += map.points;
        cells += static_cast<long long>(map.height) * map.width;
    }
    return points > 0 && points < INT32_MAX && cells < INT32_MAX;
}

}  // namespace

extern "C" cudaError_t detrt_deformable_attention(const DetrtDeformableAttention* problem, cudaStream_t stream) {
    if (!problem || !sensible(*problem)) return cudaErrorInvalidValue;
    const Kernel kernel = kernel_of(*problem);
    if (!kernel) return cudaErrorInvalidValue;
    for (const void* pointer : {problem->value, problem->references, problem->offsets, problem->logits,
                                static_cast<const void*>(problem->output)}) {
        if (!pointer) return cudaErrorInvalidValue;
        if (!aligned(pointer)) return cudaErrorMisalignedAddress;
    }
    const int pieces = problem->head_dim / (is_wide(*problem) ? wide_of(*problem) : 1);
    const long long queries = static_cast<long long>(problem->batch) * problem->queries;
    if (queries == 0) return cudaSuccess;
    const long long lanes = detrt::attention::kRows * detrt::attention::across_of(pieces) * problem->heads;
    if (queries > INT32_MAX / lanes) return cudaErrorInvalidValue;

    constexpr int kThreads = DETRT_DEFORMABLE_ATTENTION_THREADS;
    const dim3 grid(static_cast<unsigned>((queries * lanes + kThreads - 1) / kThreads));
    void* arguments[] = {const_cast<DetrtDeformableAttention*>(problem)};
    return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, dim3(kThreads), arguments, 0, stream);
}

#endif
