// Pillow's bilinear in integers, as the kernel computes it (kernels/preprocess.cu says why these numbers).
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "detrt/images.hpp"

namespace detrt {
namespace {

constexpr int kBits = 22;  // of a coefficient's fraction: Pillow's PRECISION_BITS
constexpr int kHalf = 1 << (kBits - 1);
constexpr int kHair = 1 << (kBits - 10);  // to cut, and yet forgive coefficients that add up to a hair less than one

// The pixels that make one output pixel along an axis, and their coefficients.
struct Window {
    int first = 0;
    std::vector<int> coefficients;
};

std::vector<Window> windows(std::int64_t in, std::int64_t out, bool antialias) {
    const std::int64_t reach = 2 * (antialias ? std::max(in, out) : out);
    std::vector<Window> all(static_cast<std::size_t>(out));
    for (std::int64_t o = 0; o < out; ++o) {
        const std::int64_t centre = (2 * o + 1) * in;
        const auto weight = [&](std::int64_t x) { return reach - std::abs((2 * x + 1) * out - centre); };
        const std::int64_t before = centre - reach - out;
        const std::int64_t first = before < 0 ? 0 : before / (2 * out) + 1;
        const std::int64_t last = std::min(in - 1, (centre + reach - out - 1) / (2 * out));
        std::int64_t sum = 0;
        for (auto x = first; x <= last; ++x) sum += weight(x);
        const float norm = float(1 << kBits) / float(sum);
        auto& window = all[static_cast<std::size_t>(o)];
        window.first = static_cast<int>(first);
        for (auto x = first; x <= last; ++x)
            window.coefficients.push_back(static_cast<int>(std::nearbyint(float(weight(x)) * norm)));
    }
    return all;
}

std::uint8_t level(int sum) { return static_cast<std::uint8_t>(std::clamp(sum >> kBits, 0, 255)); }

}  // namespace

std::pair<double, double> Placement::span() const {
    return {input.width * (double(photo.width) / size.width), input.height * (double(photo.height) / size.height)};
}

std::pair<double, double> Placement::offset() const {
    return {left * (double(photo.width) / size.width), top * (double(photo.height) / size.height)};
}

Placement place(Size photo, Size input, const ResizeRule& rule) {
    if (!rule.letterbox) return {photo, input, input};
    const double ratio = std::min(double(input.height) / photo.height, double(input.width) / photo.width);
    const auto side = [&](int length, int limit) {
        return std::max(1, std::min(limit, static_cast<int>(std::lrint(length * ratio))));
    };
    const Size size{side(photo.height, input.height), side(photo.width, input.width)};
    return {photo, input, size, (input.height - size.height) / 2, (input.width - size.width) / 2};
}

Pixels resize(const Pixels& photo, const Placement& placement, const ResizeRule& rule) {
    const auto [rows, columns] = placement.size;
    const auto horizontal = windows(photo.size.width, columns, rule.antialias);
    const auto vertical = windows(photo.size.height, rows, rule.antialias);
    Pixels across({photo.size.height, columns});
    for (int y = 0; y < photo.size.height; ++y)
        for (int x = 0; x < columns; ++x)
            for (int channel = 0; channel < 3; ++channel) {
                const auto& window = horizontal[static_cast<std::size_t>(x)];
                const auto* from = &photo.data[(std::size_t(y) * photo.size.width + window.first) * 3 + channel];
                int sum = kHalf;
                for (const int coefficient : window.coefficients) sum += coefficient * *from, from += 3;
                across.data[(std::size_t(y) * columns + x) * 3 + channel] = level(sum);
            }
    Pixels made(placement.input);
    std::fill(made.data.begin(), made.data.end(), static_cast<std::uint8_t>(rule.pad));
    std::vector<int> sums(std::size_t(columns) * 3);
    for (int y = 0; y < rows; ++y) {
        const auto& window = vertical[static_cast<std::size_t>(y)];
        std::fill(sums.begin(), sums.end(), rule.antialias ? kHalf : kHair);
        const auto* from = &across.data[std::size_t(window.first) * sums.size()];
        for (const int coefficient : window.coefficients)
            for (auto& sum : sums) sum += coefficient * *from++;
        auto* to = &made.data[(std::size_t(placement.top + y) * placement.input.width + placement.left) * 3];
        std::transform(sums.begin(), sums.end(), to, level);
    }
    return made;
}

}  // namespace detrt
