// Enough of CUDA to run a kernel's source on the CPU, warp by warp, where its threads speak to each other by shuffles and
// tensor cores alone. A lane is a fibre; at each exchange the lanes of a warp take turns, so that all have said what they
// have to say before one listens. That warps need nothing of each other is taken for granted: they follow each other.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>

#define __CUDACC_RTC__  // no launchers
#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __launch_bounds__(...)

using std::max;
using std::min;

struct Index {
    unsigned x, y, z;
};

inline Index threadIdx, blockIdx;

inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __int2float_rn(int a) { return static_cast<float>(a); }
inline int __float2int_rn(float a) { return static_cast<int>(std::nearbyint(a)); }

template <typename To, typename From>
To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

inline unsigned __float_as_uint(float a) { return same_bits<unsigned>(a); }
inline float __uint_as_float(unsigned a) { return same_bits<float>(a); }

namespace warps {

constexpr int kLanes = 32;
constexpr int kStack = 1 << 17;

struct Slot {
    alignas(16) unsigned char bytes[32];
};

struct Fibre {
    jmp_buf at;
    ucontext_t start;
    bool begun = false, ended = false;
    int exchanges = 0;
    std::unique_ptr<char[]> stack{new char[kStack]};
};

inline Fibre fibres[kLanes];
inline Slot boards[2][kLanes];  // two, since the first to read may say the next thing before the last has read
inline int current;
inline const std::function<void()>* work;
inline ucontext_t home;

inline void resume(int lane) {
    current = lane;
    Fibre& fibre = fibres[lane];
    if (fibre.ended) {
        std::fputs("the lanes of a warp do not exchange the same number of times\n", stderr);
        std::abort();
    }
    if (fibre.begun) _longjmp(fibre.at, 1);
    fibre.begun = true;
    setcontext(&fibre.start);
}

// What each lane says. Valid until the next exchange but one.
template <typename Word>
const Slot* exchange(const Word& said) {
    static_assert(sizeof(Word) <= sizeof(Slot));
    Fibre& self = fibres[current];
    const int lane = current;
    const Index thread = threadIdx, block = blockIdx;
    Slot* board = boards[self.exchanges++ % 2];
    std::memcpy(board[lane].bytes, &said, sizeof said);
    if (!_setjmp(self.at)) resume((lane + 1) % kLanes);
    threadIdx = thread;
    blockIdx = block;
    return board;
}

template <typename Word>
Word said_by(const Slot* board, int lane) {
    Word word;
    std::memcpy(&word, board[lane].bytes, sizeof word);
    return word;
}

inline void live() {
    (*work)();
    fibres[current].ended = true;
    if (current + 1 < kLanes) resume(current + 1);
    setcontext(&home);
}

// Runs `kernel` in every thread of a grid of one-dimensional blocks.
template <typename Kernel>
void run(Index grid, unsigned threads, Kernel kernel) {
    const std::function<void()> of_a_lane = [=] {
        const unsigned lane = current;
        for (unsigned y = 0; y < grid.y; ++y)
            for (unsigned x = 0; x < grid.x; ++x)
                for (unsigned warp = 0; warp < threads / kLanes; ++warp) {
                    blockIdx = {x, y, 0};
                    threadIdx = {warp * kLanes + lane, 0, 0};
                    kernel();
                }
    };
    work = &of_a_lane;
    for (Fibre& fibre : fibres) {
        fibre.begun = fibre.ended = false;
        fibre.exchanges = 0;
        getcontext(&fibre.start);
        fibre.start.uc_stack.ss_sp = fibre.stack.get();
        fibre.start.uc_stack.ss_size = kStack;
        makecontext(&fibre.start, live, 0);
    }
    volatile bool done = false;
    getcontext(&home);
    if (!done) {
        done = true;
        resume(0);
    }
}

}  // namespace warps

template <typename Word>
Word __shfl_xor_sync(unsigned, Word word, int distance) {
    const int lane = threadIdx.x % warps::kLanes;
    return warps::said_by<Word>(warps::exchange(word), lane ^ distance);
}
