// What the kernels are measured against, by others' algorithms: one thread for each number of the result.

// The origin's projection: bytes one by one. Block (32, 32), grid over (columns, rows).
extern "C" __global__ void one_thread_an_output(const signed char* x, const signed char* weight, const float* scale,
                                                const float* bias, float x_scale, float* output, int rows, int columns,
                                                int depth) {
    const int column = blockIdx.x * 32 + threadIdx.x, row = blockIdx.y * 32 + threadIdx.y;
    if (row >= rows || column >= columns) return;
    int sum = 0;
    for (int k = 0; k < depth; ++k) sum += x[row * depth + k] * weight[column * depth + k];
    output[row * columns + column] = sum * (x_scale * scale[column]) + bias[column];
}

// Deformable DETR's sampling, FP32: places and weights are ready, and a thread sums up one channel. Threads cover
// (batch, queries, heads, head_dim), the last fastest.
extern "C" __global__ void one_thread_a_channel(const float* value, const float* places, const float* weights,
                                                const int* shapes, float* output, int batch, int queries, int heads,
                                                int head_dim, int levels, int points, int cells) {
    const int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= batch * queries * heads * head_dim) return;
    const int channel = index % head_dim, head_of_query = index / head_dim;
    const int head = head_of_query % heads, image = head_of_query / heads / queries;
    const int step = heads * head_dim;
    const float* map = value + (long long)image * cells * step + head * head_dim + channel;
    const float* place = places + (long long)head_of_query * levels * points * 2;
    const float* weight = weights + (long long)head_of_query * levels * points;
    float sum = 0;
    for (int level = 0; level < levels; ++level) {
        const int height = shapes[2 * level], width = shapes[2 * level + 1];
        for (int point = 0; point < points; ++point, place += 2, ++weight) {
            const float x = place[0] * width - 0.5f, y = place[1] * height - 0.5f;
            if (x <= -1 || y <= -1 || x >= width || y >= height) continue;
            const int left = floorf(x), top = floorf(y);
            const float right_part = x - left, lower_part = y - top;
            float sample = 0;
            if (top >= 0 && left >= 0) sample += (1 - lower_part) * (1 - right_part) * map[(top * width + left) * step];
            if (top >= 0 && left + 1 < width) sample += (1 - lower_part) * right_part * map[(top * width + left + 1) * step];
            if (top + 1 < height && left >= 0) sample += lower_part * (1 - right_part) * map[((top + 1) * width + left) * step];
            if (top + 1 < height && left + 1 < width)
                sample += lower_part * right_part * map[((top + 1) * width + left + 1) * step];
            sum += *weight * sample;
        }
        map += height * width * step;
    }
    output[index] = sum;
}
