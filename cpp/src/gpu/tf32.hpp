// FP32 that stays FP32 in TensorRT-RTX, which multiplies in TF32 whatever the builder's flag says: a process decides for
// good when it makes its first builder, by a variable. See `detrt.engine.tf32` in Python.
#pragma once

#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>

#include "gpu/log.hpp"
#include "gpu/tensorrt_api.hpp"

namespace detrt {

// Keep TF32 out of all of this process's engines, unless the first of them is to have it. Before anything is built or
// a context is made.
inline void decide_on_tf32(const std::string& precision) {
    static std::once_flag decided;
    if (!trt::is_rtx()) return;
    std::call_once(decided, [&] {
        if (precision == "tf32") return;
        constexpr const char* variable = "NVIDIA_TF32_OVERRIDE";
        const char* value = std::getenv(variable);
        const auto before = value ? std::optional<std::string>(value) : std::nullopt;
        setenv(variable, "0", 1);
        trt::make_builder(the_log());
        before ? setenv(variable, before->c_str(), 1) : unsetenv(variable);
    });
}

}  // namespace detrt
