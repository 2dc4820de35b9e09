// FP32 that stays FP32 in TensorRT-RTX, which multiplies in TF32 whatever the builder's flag says; see
// `detrt.engine.tf32` in Python. While one of these lives, engines are built and contexts are made without TF32, or with.
#pragma once

#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>

#include "gpu/tensorrt_api.hpp"

namespace detrt {

class Tf32 {
public:
    explicit Tf32(bool off) {
        if (!trt::is_rtx()) return;
        lock_ = std::unique_lock(one_at_a_time());
        if (const char* value = std::getenv(kVariable)) before_ = value;
        off ? setenv(kVariable, "0", 1) : unsetenv(kVariable);
    }
    ~Tf32() {
        if (!lock_) return;
        before_ ? setenv(kVariable, before_->c_str(), 1) : unsetenv(kVariable);
    }
    Tf32(const Tf32&) = delete;
    Tf32& operator=(const Tf32&) = delete;

private:
    static constexpr const char* kVariable = "NVIDIA_TF32_OVERRIDE";
    static std::mutex& one_at_a_time() {  // the environment is the whole process's
        static std::mutex mutex;
        return mutex;
    }
    std::unique_lock<std::mutex> lock_;
    std::optional<std::string> before_;
};

}  // namespace detrt
