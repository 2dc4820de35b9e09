// Enough of CUDA to run a kernel's source on the CPU: a block is a crew of threads that meet at barriers, and the
// blocks of a grid follow each other. Slow, and the same arithmetic: compile with -ffp-contract=off.
#pragma once

#include <algorithm>
#include <barrier>
#include <cmath>
#include <cstdlib>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(...)
#define asm(...) std::abort()  // there is no PTX here

using std::abs;
using std::max;
using std::min;

struct dim3 {
    int x, y, z;
};

struct uchar4 {
    unsigned char x, y, z, w;
};

inline uchar4 make_uchar4(int x, int y, int z, int w) {
    return {static_cast<unsigned char>(x), static_cast<unsigned char>(y), static_cast<unsigned char>(z),
            static_cast<unsigned char>(w)};
}

thread_local dim3 threadIdx, blockIdx;
inline std::barrier<>* meeting = nullptr;

inline void __syncthreads() { meeting->arrive_and_wait(); }

inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __ll2float_rn(long long a) { return static_cast<float>(a); }
inline float __int2float_rn(int a) { return static_cast<float>(a); }
inline int __float2int_rn(float a) { return static_cast<int>(std::nearbyint(a)); }

template <typename Kernel>
void on_cpu(dim3 grid, dim3 block, Kernel kernel) {
    const int threads = block.x * block.y;
    std::barrier<> all(threads);
    meeting = &all;
    std::vector<std::thread> crew;
    for (int i = 0; i < threads; ++i)
        crew.emplace_back([=, &all] {
            threadIdx = {i % block.x, i / block.x, 0};
            for (int z = 0; z < grid.z; ++z)
                for (int y = 0; y < grid.y; ++y)
                    for (int x = 0; x < grid.x; ++x) {
                        blockIdx = {x, y, z};
                        kernel();
                        all.arrive_and_wait();  // static memory is the next block's now
                    }
        });
    for (auto& thread : crew) thread.join();
}
