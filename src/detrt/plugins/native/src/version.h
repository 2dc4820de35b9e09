// What differs from TensorRT 8.6 to 11; the rest of the plugins compiles against all of them alike.
#pragma once

#include <NvInferRuntime.h>
#include <NvInferVersion.h>

// NV_TENSORRT_MAJOR may be another macro's name, so it is compared only after NvInferVersion.h.
#define DETRT_HAS_PLUGIN_V3 (NV_TENSORRT_MAJOR >= 10)
#define DETRT_HAS_CREATOR_INTERFACE (NV_TENSORRT_MAJOR >= 10) // one base class for creators of V2 and V3
#define DETRT_HAS_BFLOAT16 (NV_TENSORRT_MAJOR >= 9)
#define DETRT_HAS_INT64_FIELDS (NV_TENSORRT_MAJOR >= 10)

// IPluginV2 is deprecated from 10 on. Who asks for it (DETRT_PLUGIN_INTERFACE=v2) knows.
#define DETRT_BEGIN_DEPRECATED \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wdeprecated-declarations\"")
#define DETRT_END_DEPRECATED _Pragma("GCC diagnostic pop")
