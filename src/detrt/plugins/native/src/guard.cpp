#include "guard.h"

#include <atomic>
#include <cstdio>

namespace detrt {
namespace {

std::atomic<nvinfer1::ILoggerFinder*> finder{nullptr};

} // namespace

void set_logger_finder(nvinfer1::ILoggerFinder* given) noexcept { finder = given; }

void log_error(std::string const& message) noexcept {
    auto* const known = finder.load();
    nvinfer1::ILogger* const logger = known ? known->findLogger() : nullptr;
    if (logger) {
        logger->log(nvinfer1::ILogger::Severity::kERROR, message.c_str());
    } else {
        std::fprintf(stderr, "detrt plugins: %s\n", message.c_str());
    }
}

} // namespace detrt
