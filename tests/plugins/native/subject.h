// A plugin as TensorRT holds it, through the interface alone: IPluginV3 or IPluginV2DynamicExt, whichever the library has.
#pragma once

#include "cases.h"

#include <dlfcn.h>

#include <functional>

using namespace nvinfer1;

/// Dimensions as TensorRT computes with them before it knows all of them: here, numbers.
class Number final : public IDimensionExpr, public apiv::VDimensionExpr {
public:
    explicit Number(int64_t value) : value_(value) { mImpl = this; }
    bool isConstant() const override { return true; }
#if NV_TENSORRT_MAJOR >= 10
    int64_t getConstantValue() const override { return value_; }
    bool isSizeTensor() const override { return false; }
#else
    int32_t getConstantValue() const override { return static_cast<int32_t>(value_); }
#endif

private:
    int64_t value_;
};

class Numbers final : public IExprBuilder, public apiv::VExprBuilder {
public:
    Numbers() { mImpl = this; }
#if NV_TENSORRT_MAJOR >= 10
    IDimensionExpr const* constant(int64_t value) override { return keep(value); }
    IDimensionExpr const* declareSizeTensor(int32_t, IDimensionExpr const&, IDimensionExpr const&) override {
        return nullptr;
    }
#else
    IDimensionExpr const* constant(int32_t value) override { return keep(value); }
#endif
    IDimensionExpr const* operation(
        DimensionOperation op, IDimensionExpr const& first, IDimensionExpr const& second) override {
        if (op != DimensionOperation::kPROD) {
            throw std::logic_error("only products are expected");
        }
        return keep(static_cast<int64_t>(first.getConstantValue()) * second.getConstantValue());
    }
    DimsExprs of(Dims const& dims) {
        DimsExprs result{};
        result.nbDims = dims.nbDims;
        for (int32_t i = 0; i < dims.nbDims; ++i) {
            result.d[i] = keep(dims.d[i]);
        }
        return result;
    }

private:
    IDimensionExpr const* keep(int64_t value) {
        kept_.push_back(std::make_unique<Number>(value));
        return kept_.back().get();
    }
    std::vector<std::unique_ptr<Number>> kept_;
};

inline Dims value_of(DimsExprs const& given) {
    Dims dims{};
    dims.nbDims = given.nbDims;
    for (int32_t i = 0; i < given.nbDims; ++i) {
        dims.d[i] = given.d[i]->getConstantValue();
    }
    return dims;
}

inline std::vector<PluginTensorDesc> descriptions(std::vector<Tensor> const& tensors) {
    std::vector<PluginTensorDesc> result;
    for (Tensor const& tensor : tensors) {
        result.push_back({tensor.dims, tensor.type, TensorFormat::kLINEAR, 1.0F});
    }
    return result;
}

class Subject {
public:
    virtual ~Subject() = default;
    virtual std::vector<Dims> shapes(std::vector<Tensor> const& inputs) = 0;
    virtual std::vector<DataType> types(std::vector<Tensor> const& inputs) = 0;
    virtual bool supports(int position, std::vector<PluginTensorDesc> const& all, int inputs) = 0;
    /// To bytes and back, as an engine that is saved and loaded.
    virtual std::unique_ptr<Subject> loaded() = 0;
    virtual std::vector<char> serialised() = 0;
    /// A plugin of an execution context, its weights on the GPU.
    virtual std::unique_ptr<Subject> in_context() = 0;
    virtual bool shaped(std::vector<PluginTensorDesc> const& inputs, std::vector<PluginTensorDesc> const& outputs) = 0;
    virtual int32_t enqueue(std::vector<PluginTensorDesc> const& inputs, std::vector<PluginTensorDesc> const& outputs,
        void const* const* from, void* const* to, cudaStream_t stream) = 0;
};

#if PROVE_V2

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
using Creator = IPluginCreator;

class SubjectV2 final : public Subject {
public:
    SubjectV2(Creator& creator, IPluginV2* plugin) : creator_(creator), plugin_(static_cast<IPluginV2DynamicExt*>(plugin)) {}
    ~SubjectV2() override { plugin_->destroy(); }

    std::vector<Dims> shapes(std::vector<Tensor> const& inputs) override {
        Numbers numbers;
        std::vector<DimsExprs> given;
        for (auto const& tensor : inputs) given.push_back(numbers.of(tensor.dims));
        std::vector<Dims> result;
        for (int32_t i = 0; i < plugin_->getNbOutputs(); ++i) {
            result.push_back(value_of(plugin_->getOutputDimensions(i, given.data(), static_cast<int32_t>(given.size()), numbers)));
        }
        return result;
    }
    std::vector<DataType> types(std::vector<Tensor> const& inputs) override {
        std::vector<DataType> given, result;
        for (auto const& tensor : inputs) given.push_back(tensor.type);
        for (int32_t i = 0; i < plugin_->getNbOutputs(); ++i) {
            result.push_back(plugin_->getOutputDataType(i, given.data(), static_cast<int32_t>(given.size())));
        }
        return result;
    }
    bool supports(int position, std::vector<PluginTensorDesc> const& all, int inputs) override {
        return plugin_->supportsFormatCombination(position, all.data(), inputs, static_cast<int32_t>(all.size()) - inputs);
    }
    std::vector<char> serialised() override {
        std::vector<char> bytes(plugin_->getSerializationSize());
        plugin_->serialize(bytes.data());
        return bytes;
    }
    std::unique_ptr<Subject> loaded() override {
        auto const bytes = serialised();
        auto* plugin = creator_.deserializePlugin("again", bytes.data(), bytes.size());
        return plugin ? std::make_unique<SubjectV2>(creator_, plugin) : nullptr;
    }
    std::unique_ptr<Subject> in_context() override {
        if (plugin_->initialize() != 0) return nullptr;
        return std::make_unique<SubjectV2>(creator_, plugin_->clone());
    }
    bool shaped(std::vector<PluginTensorDesc> const&, std::vector<PluginTensorDesc> const&) override { return true; }
    int32_t enqueue(std::vector<PluginTensorDesc> const& inputs, std::vector<PluginTensorDesc> const& outputs,
        void const* const* from, void* const* to, cudaStream_t stream) override {
        return plugin_->enqueue(inputs.data(), outputs.data(), from, to, nullptr, stream);
    }

private:
    Creator& creator_;
    IPluginV2DynamicExt* plugin_;
};

inline std::unique_ptr<Subject> subject_of(Creator& creator, PluginFieldCollection const& fields) {
    auto* plugin = creator.createPlugin("once", &fields);
    return plugin ? std::make_unique<SubjectV2>(creator, plugin) : nullptr;
}

#else

using Creator = IPluginCreatorV3One;

class SubjectV3 final : public Subject {
public:
    SubjectV3(Creator& creator, IPluginV3* plugin)
        : creator_(creator), plugin_(plugin),
          build_(static_cast<IPluginV3OneBuild*>(plugin->getCapabilityInterface(PluginCapabilityType::kBUILD))),
          run_(static_cast<IPluginV3OneRuntime*>(plugin->getCapabilityInterface(PluginCapabilityType::kRUNTIME))) {}

    std::vector<Dims> shapes(std::vector<Tensor> const& inputs) override {
        Numbers numbers;
        std::vector<DimsExprs> given, result(build_->getNbOutputs());
        for (auto const& tensor : inputs) given.push_back(numbers.of(tensor.dims));
        if (build_->getOutputShapes(given.data(), static_cast<int32_t>(given.size()), nullptr, 0, result.data(),
                static_cast<int32_t>(result.size()), numbers) != 0) {
            return {};
        }
        std::vector<Dims> values;
        for (auto const& dims : result) values.push_back(value_of(dims));
        return values;
    }
    std::vector<DataType> types(std::vector<Tensor> const& inputs) override {
        std::vector<DataType> given, result(build_->getNbOutputs());
        for (auto const& tensor : inputs) given.push_back(tensor.type);
        build_->getOutputDataTypes(
            result.data(), static_cast<int32_t>(result.size()), given.data(), static_cast<int32_t>(given.size()));
        return result;
    }
    bool supports(int position, std::vector<PluginTensorDesc> const& all, int inputs) override {
        std::vector<DynamicPluginTensorDesc> dynamic;
        for (auto const& one : all) dynamic.push_back({one, one.dims, one.dims, one.dims});
        return build_->supportsFormatCombination(
            position, dynamic.data(), inputs, static_cast<int32_t>(all.size()) - inputs);
    }
    std::vector<char> serialised() override {
        std::vector<char> bytes;
        auto const* fields = run_->getFieldsToSerialize();
        for (int32_t i = 0; i < fields->nbFields; ++i) {
            PluginField const& field = fields->fields[i];
            size_t const width = field.type == PluginFieldType::kINT8 ? 1 : 4;
            auto const* data = static_cast<char const*>(field.data);
            bytes.insert(bytes.end(), data, data + width * static_cast<size_t>(field.length));
        }
        return bytes;
    }
    std::unique_ptr<Subject> loaded() override {
        auto* plugin = creator_.createPlugin("again", run_->getFieldsToSerialize(), TensorRTPhase::kRUNTIME);
        return plugin ? std::make_unique<SubjectV3>(creator_, plugin) : nullptr;
    }
    std::unique_ptr<Subject> in_context() override {
        auto* plugin = run_->attachToContext(nullptr);
        return plugin ? std::make_unique<SubjectV3>(creator_, plugin) : nullptr;
    }
    bool shaped(std::vector<PluginTensorDesc> const& inputs, std::vector<PluginTensorDesc> const& outputs) override {
        return run_->onShapeChange(inputs.data(), static_cast<int32_t>(inputs.size()), outputs.data(),
                   static_cast<int32_t>(outputs.size())) == 0;
    }
    int32_t enqueue(std::vector<PluginTensorDesc> const& inputs, std::vector<PluginTensorDesc> const& outputs,
        void const* const* from, void* const* to, cudaStream_t stream) override {
        return run_->enqueue(inputs.data(), outputs.data(), from, to, nullptr, stream);
    }

private:
    Creator& creator_;
    std::unique_ptr<IPluginV3> plugin_;
    IPluginV3OneBuild* build_;
    IPluginV3OneRuntime* run_;
};

inline std::unique_ptr<Subject> subject_of(Creator& creator, PluginFieldCollection const& fields) {
    auto* plugin = creator.createPlugin("once", &fields, TensorRTPhase::kBUILD);
    return plugin ? std::make_unique<SubjectV3>(creator, plugin) : nullptr;
}

#endif

/// The creator of that name: from TensorRT's registry where its library is given, else straight from the plugins'.
inline Creator& creator_of(std::string const& library, std::string const& tensorrt, char const* name) {
    auto open = [](std::string const& path) {
        void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
        return handle ? handle : throw std::runtime_error(dlerror());
    };
    if (!tensorrt.empty()) {
        static IPluginRegistry* const registry = [&] {
            auto* get = reinterpret_cast<IPluginRegistry* (*)()>(dlsym(open(tensorrt), "getPluginRegistry"));
            IPluginRegistry* const found = get ? get() : nullptr;
            if (!found || !found->loadLibrary(library.c_str())) throw std::runtime_error("the registry refuses the library");
            return found;
        }();
#if NV_TENSORRT_MAJOR >= 10
        auto* creator = static_cast<Creator*>(registry->getCreator(name, "1", "detrt"));
#else
        auto* creator = registry->getPluginCreator(name, "1", "detrt");
#endif
        return creator ? *creator : throw std::runtime_error("the registry does not know the plugin");
    }
#if NV_TENSORRT_MAJOR >= 10
    using Get = IPluginCreatorInterface* const* (*)(int32_t&);
    auto get = reinterpret_cast<Get>(dlsym(open(library), "getCreators"));
#else
    using Get = IPluginCreator* const* (*)(int32_t&);
    auto get = reinterpret_cast<Get>(dlsym(open(library), "getPluginCreators"));
#endif
    int32_t count = 0;
    auto const* all = get ? get(count) : nullptr;
    for (int32_t i = 0; i < count; ++i) {
        auto* creator = static_cast<Creator*>(all[i]);
        if (std::string(creator->getPluginName()) == name) return *creator;
    }
    throw std::runtime_error("the library has no such plugin");
}
