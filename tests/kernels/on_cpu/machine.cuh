// The machine of src/detrt/kernels/machine.cuh in C++, on the warps of warps.h.
#pragma once

namespace detrt {

inline float from_half_bits(unsigned short bits) { return static_cast<float>(same_bits<_Float16>(bits)); }

inline unsigned short to_half_bits(float value) { return same_bits<unsigned short>(static_cast<_Float16>(value)); }

struct Fragment {
    int a[4], b[2];
};

inline int dot(int a, int b) {
    int sum = 0;
    for (int shift = 0; shift < 32; shift += 8)
        sum += static_cast<signed char>(a >> shift) * static_cast<signed char>(b >> shift);
    return sum;
}

inline void multiply_add(int (&sums)[4], int a0, int a1, int a2, int a3, int b0, int b1) {
    const int lane = threadIdx.x % warps::kLanes;
    const warps::Slot* said = warps::exchange(Fragment{{a0, a1, a2, a3}, {b0, b1}});
    for (int i = 0; i < 4; ++i) {
        const int row = lane / 4, column = 2 * (lane % 4) + i % 2;
        for (int member = 0; member < 4; ++member) {
            const auto x = warps::said_by<Fragment>(said, 4 * row + member);
            const auto y = warps::said_by<Fragment>(said, 4 * column + member);
            sums[i] += dot(x.a[i / 2], y.b[0]) + dot(x.a[2 + i / 2], y.b[1]);
        }
    }
}

}  // namespace detrt
