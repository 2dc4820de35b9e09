// What IPluginRegistry::loadLibrary looks for in the library.
#include "guard.h"

#if DETRT_PLUGIN_V2
#include "plugin_v2.h"
#else
#include "plugin_v3.h"
#if !DETRT_HAS_PLUGIN_V3
#error "TensorRT 8 has no IPluginV3: set DETRT_PLUGIN_INTERFACE=v2"
#endif
#endif

#define DETRT_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

#if DETRT_PLUGIN_V2
using Creator = detrt::CreatorV2;
#else
using Creator = detrt::CreatorV3;
#endif

#if DETRT_HAS_CREATOR_INTERFACE
using Registered = nvinfer1::IPluginCreatorInterface;
#else
using Registered = nvinfer1::IPluginCreator;
#endif

Registered* const* creators(int32_t& count) {
    static Creator offsets(detrt::multi_head_offsets());
    static Creator attention(detrt::deformable_attention());
    static Registered* const all[] = {&offsets, &attention};
    count = 2;
    return all;
}

} // namespace

#if DETRT_HAS_CREATOR_INTERFACE
DETRT_EXPORT nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& count) { return creators(count); }
#else
DETRT_EXPORT nvinfer1::IPluginCreator* const* getPluginCreators(int32_t& count) { return creators(count); }
#endif

DETRT_EXPORT void setLoggerFinder(nvinfer1::ILoggerFinder* finder) { detrt::set_logger_finder(finder); }
