// A batch of decoded photos of any sizes as the network's input, in one launch: resize, pad, scale, reorder, cast.
//
// The resize is Pillow's antialiased bilinear. It is separable: a horizontal pass, rounded to 8 bits, then a vertical
// pass, rounded to 8 bits, each with coefficients of 22 fractional bits (Pillow's Resample.c, PRECISION_BITS). Pillow's
// coefficient of pixel x for output o is max(0, 1 - |x + 1/2 - centre| / support), with the centre (o + 1/2) * in / out
// and the support max(1, in / out), divided by the sum over all x. Times 2 * max(in, out), that is the integer
//
//     weight(x) = 2 * max(in, out) - |(2x + 1) * out - (2o + 1) * in|
//
// so every thread makes its own coefficients, exactly but for the last bit of the division, and no table is needed. What
// a whole column or row of a tile has in common (the window of pixels, the sum) is found once for it.
// Without antialiasing the support is one pixel whatever the reduction: max(in, out) becomes out.
//
// A block makes a tile of the output. The horizontal pass goes to shared memory strip by strip, and each thread adds
// what its own pixel needs of a strip, so that a photo may be reduced by any factor in a fixed piece of memory.
//
// Compiles with nvcc and with NVRTC; includes nothing. `detrt.images.fixed_point` is the same arithmetic in NumPy.

namespace detrt {

constexpr int kTileWidth = 32;
constexpr int kTileHeight = 16;  // blockDim is (kTileWidth, kTileHeight)
constexpr int kBlocks = 3;       // that a multiprocessor of 1536 threads or more shall hold
constexpr int kStrip = 32;       // rows of the horizontal pass that are kept at a time
constexpr int kBits = 22;        // of a coefficient's fraction, as in Pillow

// One photo and where it lies in the input. 40 bytes; `detrt.images.gpu.preprocess` packs it.
struct Photo {
    const unsigned char* pixels;  // height x width x 3, interleaved RGB
    int pitch;                    // bytes from row to row
    int height, width;            // of the photo
    int top, left;                // of its corner in the input
    int rows, columns;            // that it covers there
    int unused;
};

// The contract: input value = pixel * factor + shift by channel, in the order of the network's channels.
struct Rule {
    float factor[3];
    float shift[3];
    int reversed;   // BGR
    int antialias;
    int pad;        // grey level around a letterboxed photo
};

// The pixels that make one output pixel along one axis, and their coefficients.
struct Window {
    int first, last;
    int out, centre, reach;
    float norm;

    __device__ static Window of(int in, int out, int o, bool antialias) {
        const int centre = (2 * o + 1) * in, reach = 2 * (antialias && in > out ? in : out);
        const int before = centre - reach - out;
        const int first = before < 0 ? 0 : before / (2 * out) + 1;
        const int last = min(in - 1, (centre + reach - out - 1) / (2 * out));
        Window window = {first, last, out, centre, reach, 0};
        long long sum = 0;
        for (int x = first; x <= last; ++x) sum += window.weight(x);
        window.norm = __fdiv_rn(static_cast<float>(1 << kBits), __ll2float_rn(sum));
        return window;
    }

    __device__ int weight(int x) const { return reach - abs((2 * x + 1) * out - centre); }

    __device__ int coefficient(int x) const { return __float2int_rn(__fmul_rn(__int2float_rn(weight(x)), norm)); }
};

constexpr int kHalf = 1 << (kBits - 1);  // to round
constexpr int kHair = 1 << (kBits - 10);  // to cut, and yet forgive coefficients that add up to a hair less than one

struct Sum {
    int red, green, blue;

    __device__ explicit Sum(int start) : red(start), green(start), blue(start) {}

    __device__ void add(int coefficient, int r, int g, int b) {
        red += coefficient * r;
        green += coefficient * g;
        blue += coefficient * b;
    }

    __device__ static unsigned char level(int sum) { return static_cast<unsigned char>(min(max(sum >> kBits, 0), 255)); }

    __device__ uchar4 levels() const { return make_uchar4(level(red), level(green), level(blue), 0); }
};

__device__ inline uchar4 across(const unsigned char* row, const Window& window) {
    Sum sum(kHalf);
    for (int x = window.first; x <= window.last; ++x) {
        const unsigned char* pixel = row + 3 * x;
        sum.add(window.coefficient(x), pixel[0], pixel[1], pixel[2]);
    }
    return sum.levels();
}

__device__ inline void store(float* out, float value) { *out = value; }

__device__ inline void store(unsigned short* out, float value) {  // IEEE half, without cuda_fp16.h
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(*out) : "f"(value));
}

template <typename Value>
__device__ void preprocess(const Photo* photos, Value* input, int height, int width, const Rule& rule) {
    __shared__ uchar4 strip[kStrip][kTileWidth];
    __shared__ Window windows_across[kTileWidth], windows_down[kTileHeight];
    const Photo photo = photos[blockIdx.z];
    const int x = blockIdx.x * kTileWidth + threadIdx.x;
    const int tile = blockIdx.y * kTileHeight;
    const int y = tile + threadIdx.y;
    const bool antialias = rule.antialias;

    const int column = x - photo.left, line = y - photo.top;
    const bool in_columns = column >= 0 && column < photo.columns;
    const bool inside = in_columns && line >= 0 && line < photo.rows;
    const int first_line = max(tile - photo.top, 0);
    const int last_line = min(tile + kTileHeight - 1 - photo.top, photo.rows - 1);

    uchar4 pixel = make_uchar4(rule.pad, rule.pad, rule.pad, 0);
    if (first_line <= last_line) {  // the same for the whole block
        if (threadIdx.y == 0)  // a warp finds the windows of all columns, another those of the lines
            windows_across[threadIdx.x] = Window::of(photo.width, photo.columns, in_columns ? column : 0, antialias);
        if (threadIdx.y == 1 && threadIdx.x < kTileHeight) {
            const int its_line = min(max(tile + static_cast<int>(threadIdx.x) - photo.top, first_line), last_line);
            windows_down[threadIdx.x] = Window::of(photo.height, photo.rows, its_line, antialias);
        }
        __syncthreads();
        const Window horizontal = windows_across[threadIdx.x], vertical = windows_down[threadIdx.y];
        const int first_row = windows_down[0].first, last_row = windows_down[kTileHeight - 1].last;
        Sum sum(antialias ? kHalf : kHair);  // where it does not antialias, Pillow cuts its result
        for (int base = first_row; base <= last_row; base += kStrip) {
            const int end = min(base + kStrip - 1, last_row);
            __syncthreads();
            if (in_columns)
                for (int row = base + threadIdx.y; row <= end; row += kTileHeight)
                    strip[row - base][threadIdx.x] =
                        across(photo.pixels + static_cast<long long>(row) * photo.pitch, horizontal);
            __syncthreads();
            if (inside)
                for (int row = max(base, vertical.first); row <= min(end, vertical.last); ++row) {
                    const uchar4 value = strip[row - base][threadIdx.x];
                    sum.add(vertical.coefficient(row), value.x, value.y, value.z);
                }
        }
        if (inside) pixel = sum.levels();
    }
    if (x >= width || y >= height) return;

    const float levels[3] = {static_cast<float>(rule.reversed ? pixel.z : pixel.x), static_cast<float>(pixel.y),
                             static_cast<float>(rule.reversed ? pixel.x : pixel.z)};
    const long long plane = static_cast<long long>(height) * width;
    Value* out = input + 3 * plane * blockIdx.z + static_cast<long long>(y) * width + x;
    for (int channel = 0; channel < 3; ++channel)  // two roundings, as on the CPU: no fused multiply-add
        store(out + channel * plane, __fadd_rn(__fmul_rn(levels[channel], rule.factor[channel]), rule.shift[channel]));
}

}  // namespace detrt

// Grid: (ceil(width / 32), ceil(height / 16), photos). `input` is photos x 3 x height x width.
// For every photo, in * out of each axis is below 2^30.
extern "C" __global__ void __launch_bounds__(detrt::kTileWidth* detrt::kTileHeight, detrt::kBlocks)
    detrt_preprocess_float32(const detrt::Photo* photos, float* input, int height, int width, detrt::Rule rule) {
    detrt::preprocess(photos, input, height, width, rule);
}

extern "C" __global__ void __launch_bounds__(detrt::kTileWidth* detrt::kTileHeight, detrt::kBlocks)
    detrt_preprocess_float16(const detrt::Photo* photos, unsigned short* input, int height, int width, detrt::Rule rule) {
    detrt::preprocess(photos, input, height, width, rule);
}
