// Calls the kernels' C interface on device memory that is cut to size, at odd sizes, launched and replayed from a CUDA
// graph, and compares with loops on the host. For compute-sanitizer, and to be read as an example of the interface.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <vector>

#include "deformable_attention.h"
#include "offset_projection.h"

namespace {

void must(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(status));
    std::exit(1);
}

template <typename Number>
struct Memory {
    explicit Memory(const std::vector<Number>& numbers) : count(numbers.size()) {
        must(cudaMalloc(&pointer, bytes()), "cudaMalloc");
        must(cudaMemcpy(pointer, numbers.data(), bytes(), cudaMemcpyHostToDevice), "cudaMemcpy");
        must(cudaStreamSynchronize(nullptr), "cudaMemcpy");  // it returns before pageable memory has arrived
    }
    Memory(const Memory&) = delete;
    ~Memory() { cudaFree(pointer); }

    std::size_t bytes() const { return count * sizeof(Number); }

    std::vector<Number> read() const {
        std::vector<Number> numbers(count);
        must(cudaMemcpy(numbers.data(), pointer, bytes(), cudaMemcpyDeviceToHost), "cudaMemcpy");
        return numbers;
    }

    std::size_t count;
    Number* pointer = nullptr;
};

std::mt19937 generator(9);

std::vector<float> floats(std::size_t count, float low, float high) {
    std::uniform_real_distribution<float> draw(low, high);
    std::vector<float> numbers(count);
    for (float& number : numbers) number = draw(generator);
    return numbers;
}

std::vector<signed char> codes(std::size_t count) {
    std::uniform_int_distribution<int> draw(-128, 127);
    std::vector<signed char> numbers(count);
    for (signed char& number : numbers) number = static_cast<signed char>(draw(generator));
    return numbers;
}

std::vector<float> poison(std::size_t count) { return std::vector<float>(count, std::nanf("")); }

// On a stream of its own, once launched and once from a graph.
void run(const std::function<cudaError_t(cudaStream_t)>& launch, bool replayed) {
    cudaStream_t stream;
    must(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
    if (replayed) {
        cudaGraph_t graph;
        cudaGraphExec_t ready;
        must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "capture");
        must(launch(stream), "captured launch");
        must(cudaStreamEndCapture(stream, &graph), "capture");
        must(cudaGraphInstantiate(&ready, graph, 0), "graph");
        must(cudaGraphLaunch(ready, stream), "replay");
        must(cudaStreamSynchronize(stream), "replay");
        cudaGraphExecDestroy(ready);
        cudaGraphDestroy(graph);
    } else {
        must(launch(stream), "launch");
        must(cudaStreamSynchronize(stream), "kernel");
    }
    cudaStreamDestroy(stream);
}

double projection(int rows, int depth, int offsets, int attention, bool replayed) {
    const float x_scale = 0.03f;
    const auto x = codes(static_cast<std::size_t>(rows) * depth);
    const Memory<signed char> on_device(x);
    DetrtOffsetProjection problem{};
    problem.x = on_device.pointer;
    problem.rows = rows;
    problem.depth = depth;
    problem.x_scale = x_scale;
    problem.x_element = DETRT_INT8;
    problem.output_element = DETRT_FLOAT32;

    const int columns[2] = {offsets, attention};
    std::vector<signed char> weights[2];
    std::vector<float> scales[2], biases[2];
    std::vector<Memory<signed char>*> held_codes;
    std::vector<Memory<float>*> held, outputs;
    for (int part = 0; part < 2; ++part) {
        weights[part] = codes(static_cast<std::size_t>(columns[part]) * depth);
        scales[part] = floats(columns[part], 4e-4f, 5e-3f);
        biases[part] = floats(columns[part], -4, 4);
        held_codes.push_back(new Memory<signed char>(weights[part]));
        held.push_back(new Memory<float>(scales[part]));
        held.push_back(new Memory<float>(biases[part]));
        outputs.push_back(new Memory<float>(poison(static_cast<std::size_t>(rows) * columns[part])));
        DetrtLinear& linear = part ? problem.attention : problem.offsets;
        linear.weight = held_codes[part]->pointer;
        linear.scale = held[2 * part]->pointer;
        linear.bias = held[2 * part + 1]->pointer;
        linear.output = outputs[part]->pointer;
        linear.columns = columns[part];
    }
    run([&](cudaStream_t stream) { return detrt_offset_projection(&problem, stream); }, replayed);

    double worst = 0;
    for (int part = 0; part < 2; ++part) {
        const auto made = outputs[part]->read();
        for (int row = 0; row < rows; ++row)
            for (int column = 0; column < columns[part]; ++column) {
                long long sum = 0;
                for (int k = 0; k < depth; ++k) sum += x[row * depth + k] * weights[part][column * depth + k];
                const double exact = sum * (static_cast<double>(x_scale) * scales[part][column]) + biases[part][column];
                const double error = std::fabs(made[row * columns[part] + column] - exact);
                worst = std::max(worst, std::isnan(error) ? INFINITY : error / (1e-6 + std::fabs(exact) * 0x1p-24));
            }
    }
    for (auto* memory : held_codes) delete memory;
    for (auto* memory : held) delete memory;
    for (auto* memory : outputs) delete memory;
    return worst;
}

// A cell's value, and zero outside of the map.
double cell(const float* map, const DetrtLevel& level, int step, double row, double column) {
    const bool inside = row >= 0 && column >= 0 && row < level.height && column < level.width;
    return inside ? map[static_cast<std::size_t>(row * level.width + column) * step] : 0.0;
}

double sample(const float* map, const DetrtLevel& level, int step, double x, double y, bool discrete) {
    if (discrete)
        return cell(map, level, step, std::clamp(std::floor(y * level.height + 0.5), 0.0, level.height - 1.0),
                    std::clamp(std::floor(x * level.width + 0.5), 0.0, level.width - 1.0));
    x = x * level.width - 0.5;
    y = y * level.height - 0.5;
    const double left = std::floor(x), top = std::floor(y), across = x - left, down = y - top;
    return (1 - down) * ((1 - across) * cell(map, level, step, top, left) + across * cell(map, level, step, top, left + 1)) +
           down * ((1 - across) * cell(map, level, step, top + 1, left) + across * cell(map, level, step, top + 1, left + 1));
}

// `wild`: places that are no places, of which only the memory that they touch is looked at.
double attention(int batch, int queries, int heads, int head_dim, bool discrete, bool replayed, bool wild) {
    const std::vector<DetrtLevel> levels = {{7, 5, 3}, {1, 1, 0}, {3, 4, 6}, {1, 9, 1}};
    int points = 0, cells = 0;
    for (const auto& level : levels) points += level.points, cells += level.height * level.width;
    const std::size_t all_queries = static_cast<std::size_t>(batch) * queries, all_heads = all_queries * heads;
    const auto value = floats(static_cast<std::size_t>(batch) * cells * heads * head_dim, -1, 1);
    const auto references = floats(all_queries * 4, 0, 1), logits = floats(all_heads * points, -5, 5);
    auto offsets = floats(all_heads * points * 2, -2, 2);
    const float no_places[] = {std::nanf(""), INFINITY, -INFINITY, 3e38f, -1e9f, 1e9f};
    if (wild)
        for (std::size_t i = 0; i < offsets.size(); ++i) offsets[i] = no_places[i % 6];
    const Memory<float> value_there(value), references_there(references), offsets_there(offsets), logits_there(logits);
    const Memory<float> output(poison(all_heads * head_dim));

    DetrtDeformableAttention problem{};
    problem.value = value_there.pointer;
    problem.references = references_there.pointer;
    problem.offsets = offsets_there.pointer;
    problem.logits = logits_there.pointer;
    problem.output = output.pointer;
    problem.batch = batch;
    problem.queries = queries;
    problem.heads = heads;
    problem.head_dim = head_dim;
    problem.reference_size = 4;
    problem.offset_scale = 0.5f;
    problem.discrete = discrete;
    problem.level_count = static_cast<int>(levels.size());
    std::copy(levels.begin(), levels.end(), problem.levels);
    problem.element = problem.sampling_element = DETRT_FLOAT32;
    run([&](cudaStream_t stream) { return detrt_deformable_attention(&problem, stream); }, replayed);

    double worst = 0;
    const auto made = output.read();
    for (std::size_t at = 0; at < made.size(); ++at) {
        const std::size_t channel = at % head_dim, head_of_query = at / head_dim, query = head_of_query / heads;
        const int step = heads * head_dim;
        const float* box = &references[4 * query];
        const float* map = &value[query / queries * cells * step + head_of_query % heads * head_dim + channel];
        double total = 0, sum = 0;
        std::size_t point = head_of_query * points;
        for (const DetrtLevel& level : levels) {
            for (int i = 0; i < level.points; ++i, ++point) {
                const double weight = std::exp(static_cast<double>(logits[point]));
                const double reach = 0.5 / level.points;
                total += weight;
                sum += weight * sample(map, level, step, box[0] + offsets[2 * point] * reach * box[2],
                                       box[1] + offsets[2 * point + 1] * reach * box[3], discrete && !wild);
            }
            map += level.height * level.width * step;
        }
        const double error = std::fabs(made[at] - (wild ? 0 : sum / total)) / (wild ? 1.0 : 2e-5);
        worst = std::max(worst, std::isnan(error) ? INFINITY : error);
    }
    return worst;
}

void refusals() {
    DetrtOffsetProjection nothing{};
    DetrtDeformableAttention none{};
    const bool right = detrt_offset_projection(nullptr, nullptr) == cudaErrorInvalidValue &&
                       detrt_offset_projection(&nothing, nullptr) == cudaErrorInvalidValue &&
                       detrt_deformable_attention(nullptr, nullptr) == cudaErrorInvalidValue &&
                       detrt_deformable_attention(&none, nullptr) == cudaErrorInvalidValue;
    if (!right) must(cudaErrorUnknown, "an empty problem is not refused");
}

}  // namespace

int main() {
    refusals();
    double worst = 0;
    for (const bool replayed : {false, true}) {
        for (const int rows : {1, 17, 64, 300})
            for (const int depth : {1, 37, 64, 256}) {
                worst = std::max(worst, projection(rows, depth, 192, 96, replayed));
                worst = std::max(worst, projection(rows, depth, 10, 5, replayed));
            }
        for (const int head_dim : {1, 5, 8, 32, 72})
            for (const bool discrete : {false, true}) {
                worst = std::max(worst, attention(2, 15, 3, head_dim, discrete, replayed, false));
                worst = std::max(worst, attention(1, 30, 8, head_dim, discrete, replayed, true));
            }
    }
    std::printf("worst error: %.3f of what is allowed\n", worst);
    return worst <= 1 ? 0 : 1;
}
