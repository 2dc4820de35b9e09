// Running a plugin object: contexts, streams and graphs as an engine would have them.
#pragma once

#include "subject.h"

#include <cuda_runtime_api.h>

#include <thread>

inline void require(cudaError_t status) {
    if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

/// Device memory with a margin of known bytes behind it, to see whether anything writes there.
class Buffer {
public:
    explicit Buffer(size_t size) : size_(size) {
        require(cudaMalloc(&memory_, size + kMargin));
        clear();
    }
    explicit Buffer(Tensor const& tensor) : Buffer(tensor.bytes.size()) { upload(tensor); }
    ~Buffer() { cudaFree(memory_); }
    Buffer(Buffer const&) = delete;

    void clear() { require(cudaMemset(memory_, kPattern, size_ + kMargin)); }
    void upload(Tensor const& tensor) {
        require(cudaMemcpy(memory_, tensor.bytes.data(), tensor.bytes.size(), cudaMemcpyHostToDevice));
    }
    void download(Tensor& tensor) const {
        require(cudaMemcpy(tensor.bytes.data(), memory_, tensor.bytes.size(), cudaMemcpyDeviceToHost));
    }
    bool margin_untouched() const {
        std::vector<unsigned char> margin(kMargin);
        require(cudaMemcpy(margin.data(), static_cast<char*>(memory_) + size_, kMargin, cudaMemcpyDeviceToHost));
        return std::all_of(margin.begin(), margin.end(), [](unsigned char byte) { return byte == kPattern; });
    }
    void* get() const { return memory_; }

private:
    static constexpr size_t kMargin = 4096;
    static constexpr unsigned char kPattern = 0xA5;
    void* memory_ = nullptr;
    size_t size_;
};

/// One context: a plugin, a stream, and buffers of its own.
class Context {
public:
    Context(Subject& plugin, Case const& given) : plugin_(plugin.in_context()), given_(given) {
        if (!plugin_) throw std::runtime_error("no plugin for a context");
        require(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
        for (Tensor const& tensor : given.inputs) inputs_.push_back(std::make_unique<Buffer>(tensor));
        for (Tensor const& tensor : given.outputs) outputs_.push_back(std::make_unique<Buffer>(tensor.bytes.size()));
        require(cudaDeviceSynchronize());
    }
    ~Context() { cudaStreamDestroy(stream_); }

    /// Shapes come from the tensors: the first `batch` images of them.
    bool enqueue(int batch) {
        auto inputs = descriptions(given_.inputs), outputs = descriptions(given_.outputs);
        for (auto* all : {&inputs, &outputs}) {
            for (auto& one : *all) one.dims.d[0] = batch;
        }
        if (batch != shaped_) {
            shaped_ = batch;
            if (!plugin_->shaped(inputs, outputs)) return false;
        }
        std::vector<void const*> from;
        std::vector<void*> to;
        for (auto const& buffer : inputs_) from.push_back(buffer->get());
        for (auto const& buffer : outputs_) to.push_back(buffer->get());
        return plugin_->enqueue(inputs, outputs, from.data(), to.data(), stream_) == 0;
    }
    void wait() { require(cudaStreamSynchronize(stream_)); }
    void clear() {
        for (auto& buffer : outputs_) buffer->clear();
        require(cudaDeviceSynchronize());
    }
    cudaStream_t stream() const { return stream_; }

    /// What is wrong with the first `batch` images of the outputs, and with what lies behind all of them.
    std::vector<std::string> judged(int batch, std::string const& when) {
        std::vector<std::string> wrong;
        for (size_t i = 0; i < outputs_.size(); ++i) {
            Tensor found = given_.outputs[i];
            outputs_[i]->download(found);
            size_t const count = found.count() / static_cast<size_t>(found.dims.d[0]) * static_cast<size_t>(batch);
            double worst = 0;
            for (size_t k = 0; k < count; ++k) {
                double const error = std::abs(found[k] - given_.expected[i][k]);
                worst = std::max(worst, error >= 0 ? error / std::max(1.0, std::abs(given_.expected[i][k])) : INFINITY);
            }
            if (!(worst <= given_.tolerance)) {
                wrong.push_back(when + ": output " + std::to_string(i) + " is off by " + std::to_string(worst));
            }
            bool beyond = outputs_[i]->margin_untouched();
            for (size_t k = count * width_of(found.type); k < found.bytes.size(); ++k) {
                beyond = beyond && static_cast<unsigned char>(found.bytes[k]) == 0xA5;
            }
            if (!beyond) wrong.push_back(when + ": wrote beyond output " + std::to_string(i));
        }
        return wrong;
    }

private:
    std::unique_ptr<Subject> plugin_;
    Case const& given_;
    std::vector<std::unique_ptr<Buffer>> inputs_, outputs_;
    cudaStream_t stream_ = nullptr;
    int shaped_ = 0;
};

inline void replay(Context& context, int batch, std::vector<std::string>& wrong) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t ready = nullptr;
    require(cudaStreamBeginCapture(context.stream(), cudaStreamCaptureModeGlobal));
    bool const enqueued = context.enqueue(batch);
    require(cudaStreamEndCapture(context.stream(), &graph));
    if (!enqueued) wrong.push_back("cannot be captured");
    size_t nodes = 0;
    require(cudaGraphGetNodes(graph, nullptr, &nodes));
    if (nodes != 1) wrong.push_back("is " + std::to_string(nodes) + " nodes of a graph");
    require(cudaGraphInstantiate(&ready, graph, 0));
    for (int i = 0; i < 3; ++i) {
        context.clear();
        require(cudaGraphLaunch(ready, context.stream()));
        context.wait();
        for (auto const& line : context.judged(batch, "graph, launch " + std::to_string(i))) wrong.push_back(line);
    }
    require(cudaGraphExecDestroy(ready));
    require(cudaGraphDestroy(graph));
}

inline std::vector<std::string> run_on_gpu(Subject& built, Case const& given) {
    std::vector<std::string> wrong;
    auto add = [&](std::vector<std::string> const& lines) { wrong.insert(wrong.end(), lines.begin(), lines.end()); };
    auto loaded = built.loaded();
    Context first(*loaded, given), second(*loaded, given);
    loaded.reset(); // contexts live on
    int const batch = static_cast<int>(given.inputs[0].dims.d[0]);

    auto often = [&](Context& context, bool& done) {
        for (int i = 0; i < 50; ++i) done = context.enqueue(batch) && done;
        context.wait();
    };
    bool first_done = true, second_done = true;
    std::thread beside([&] { often(second, second_done); });
    often(first, first_done);
    beside.join();
    if (!first_done || !second_done) wrong.push_back("enqueue fails");
    add(first.judged(batch, "first context"));
    add(second.judged(batch, "second context"));
    replay(first, batch, wrong);
    if (batch > 1) {
        first.clear();
        if (!first.enqueue(batch - 1)) wrong.push_back("enqueue fails at a smaller batch");
        first.wait();
        add(first.judged(batch - 1, "smaller batch"));
    }
    return wrong;
}
