// Tries the plugin as TensorRT would, without TensorRT: load, create, ask, save and load again; where there is a GPU,
// also run. Usage: test_scale_plugin libscale_plugin.so
#include <NvInferRuntime.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

using namespace nvinfer1;

void expect(bool holds, char const* what) {
    if (!holds) {
        std::printf("FAILED: %s\n", what);
        std::exit(1);
    }
}

void run(IPluginV3& loaded) {
    auto runtime = [](IPluginV3& plugin) {
        return static_cast<IPluginV3OneRuntime*>(plugin.getCapabilityInterface(PluginCapabilityType::kRUNTIME));
    };
    std::unique_ptr<IPluginV3> const attached(runtime(loaded)->attachToContext(nullptr));
    std::vector<float> x(1000);
    for (size_t i = 0; i < x.size(); ++i) {
        x[i] = static_cast<float>(i) - 500;
    }
    size_t const bytes = x.size() * sizeof(float);
    void *from = nullptr, *to = nullptr;
    cudaStream_t stream = nullptr;
    expect(cudaMalloc(&from, bytes) == cudaSuccess && cudaMalloc(&to, bytes) == cudaSuccess, "memory");
    expect(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess, "a stream");
    cudaMemcpyAsync(from, x.data(), bytes, cudaMemcpyHostToDevice, stream);
    PluginTensorDesc const desc{{2, {10, 100}}, DataType::kFLOAT, TensorFormat::kLINEAR, 1.0F};
    void const* const inputs[] = {from};
    void* const outputs[] = {to};
    expect(runtime(*attached)->onShapeChange(&desc, 1, &desc, 1) == 0, "takes the shape");
    expect(runtime(*attached)->enqueue(&desc, &desc, inputs, outputs, nullptr, stream) == 0, "is enqueued");
    std::vector<float> y(x.size());
    cudaMemcpyAsync(y.data(), to, bytes, cudaMemcpyDeviceToHost, stream);
    expect(cudaStreamSynchronize(stream) == cudaSuccess, "runs");
    for (size_t i = 0; i < x.size(); ++i) {
        expect(y[i] == 2.5F * x[i], "gives factor * x");
    }
    cudaFree(from);
    cudaFree(to);
    cudaStreamDestroy(stream);
}

int main(int count, char** arguments) {
    void* library = dlopen(count > 1 ? arguments[1] : "./libscale_plugin.so", RTLD_NOW);
    expect(library != nullptr, "the library loads");
    using Creators = IPluginCreatorInterface* const* (*)(int32_t&);
    auto const creators = reinterpret_cast<Creators>(dlsym(library, "getCreators"));
    expect(creators != nullptr, "the library names its creators");
    int32_t number = 0;
    auto& creator = *static_cast<IPluginCreatorV3One*>(creators(number)[0]);

    float const factor = 2.5F;
    PluginField const field("factor", &factor, PluginFieldType::kFLOAT32, 1);
    PluginFieldCollection const fields{1, &field}, none{0, nullptr};
    expect(!creator.createPlugin("scale", &none, TensorRTPhase::kBUILD), "refuses to be made without a factor");
    std::unique_ptr<IPluginV3> const plugin(creator.createPlugin("scale", &fields, TensorRTPhase::kBUILD));
    expect(plugin != nullptr, "is made from its fields");

    auto* build = static_cast<IPluginV3OneBuild*>(plugin->getCapabilityInterface(PluginCapabilityType::kBUILD));
    DataType const half = DataType::kHALF;
    DataType output{};
    expect(build->getOutputDataTypes(&output, 1, &half, 1) == 0 && output == half, "keeps the type");
    DynamicPluginTensorDesc tensors[2]{};
    for (auto& tensor : tensors) {
        tensor.desc = {{1, {4}}, half, TensorFormat::kLINEAR, 1.0F};
    }
    expect(build->supportsFormatCombination(0, tensors, 1, 1), "takes FP16");
    expect(build->supportsFormatCombination(1, tensors, 1, 1), "gives FP16");
    tensors[1].desc.type = DataType::kFLOAT;
    expect(!build->supportsFormatCombination(1, tensors, 1, 1), "does not convert");

    auto* run_time = static_cast<IPluginV3OneRuntime*>(plugin->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
    auto const* saved = run_time->getFieldsToSerialize();
    std::unique_ptr<IPluginV3> const loaded(creator.createPlugin("scale", saved, TensorRTPhase::kRUNTIME));
    expect(loaded != nullptr, "comes back from what it saved");

    int gpus = 0;
    if (cudaGetDeviceCount(&gpus) == cudaSuccess && gpus > 0) {
        run(*loaded);
        std::printf("right, and runs\n");
    } else {
        std::printf("right; there is no GPU to run it on\n");
    }
    return 0;
}
