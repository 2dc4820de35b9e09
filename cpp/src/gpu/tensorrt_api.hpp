// Where the versions of TensorRT differ, and nowhere else: 8.6 to 11.x, and TensorRT-RTX behind the headers of 11.1.
//
// TensorRT's own factory functions hand the version of the headers to the library. Here the library is told its own:
// the headers of TensorRT-RTX are in no package index, and those of TensorRT 11.1 fit it for parsers, builders,
// runtimes, engines and execution contexts. Its network interface has other slots, so nothing here calls a network.
#pragma once

#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <memory>
#include <string>

#include "detrt/manifest.hpp"

namespace detrt::trt {

using namespace nvinfer1;

inline std::unique_ptr<IRuntime> make_runtime(ILogger& log) {
    return std::unique_ptr<IRuntime>(static_cast<IRuntime*>(createInferRuntime_INTERNAL(&log, getInferLibVersion())));
}

inline std::unique_ptr<IBuilder> make_builder(ILogger& log) {
    return std::unique_ptr<IBuilder>(static_cast<IBuilder*>(createInferBuilder_INTERNAL(&log, getInferLibVersion())));
}

inline std::unique_ptr<nvonnxparser::IParser> make_parser(INetworkDefinition& network, ILogger& log) {
    return std::unique_ptr<nvonnxparser::IParser>(
        static_cast<nvonnxparser::IParser*>(createNvOnnxParser_INTERNAL(&network, &log, getNvOnnxParserVersion())));
}

constexpr bool is_rtx() {
#ifdef DETRT_TENSORRT_RTX
    return true;
#else
    return false;
#endif
}

// The TensorRT that is linked: `tensorrt_rtx`, `1.6.1.120`.
inline Flavour flavour() {
    const char* name = is_rtx() ? "tensorrt_rtx" : "tensorrt";
    const int version = getInferLibVersion();
#if NV_TENSORRT_MAJOR >= 10
    const int major = version / 10000, minor = version / 100 % 100;
    const auto build = "." + std::to_string(getInferLibBuildVersion());
#else
    const int major = version / 1000, minor = version / 100 % 10;  // 8.6.1 is 8601, and no function tells the build
    const std::string build;
#endif
    return {name, std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(version % 100) + build};
}

// An empty network in which every precision stands in the graph; before 10 there was no such thing, and every axis
// stands there.
inline std::unique_ptr<INetworkDefinition> make_network(IBuilder& builder) {
#if NV_TENSORRT_MAJOR == 10
    constexpr std::uint32_t flags = 1U << 1;  // kSTRONGLY_TYPED
#else
    constexpr std::uint32_t flags =
        1U << 0;  // 8.6: kEXPLICIT_BATCH. 11: kSTRONGLY_TYPED, which moved and is deprecated
#endif
    return std::unique_ptr<INetworkDefinition>(builder.createNetworkV2(flags));
}

// For example `node 12 '/decoder/GridSample' (GridSample)`; before 10 nodes had numbers only.
inline std::string where(const nvonnxparser::IParserError& error) {
    if (error.node() < 0) return "the graph";
    const auto number = "node " + std::to_string(error.node());
#if NV_TENSORRT_MAJOR >= 10
    return number + " '" + error.nodeName() + "' (" + error.nodeOperator() + ")";
#else
    return number;
#endif
}

}  // namespace detrt::trt
