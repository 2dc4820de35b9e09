// What TensorRT says: errors are kept for the message of what they make fail, the rest is dropped.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "gpu/tensorrt_api.hpp"

namespace detrt {

class Log final : public trt::ILogger {
  public:
    void log(Severity severity, const char* message) noexcept override;

    // The first distinct errors since the last call as one clause; the first is the cause, later ones repeat it.
    std::string gist();

  private:
    std::mutex lock_;
    std::vector<std::string> errors_;
};

// The one logger of the process: TensorRT keeps the first that it is given.
Log& the_log();

}  // namespace detrt
