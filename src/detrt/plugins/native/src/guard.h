// Nothing may be thrown into TensorRT: what goes wrong is logged, and told by the return value.
#pragma once

#include "version.h"

#include <exception>
#include <string>

namespace detrt {

/// TensorRT's logger where it gave us one, else standard error.
void log_error(std::string const& message) noexcept;
void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept;

/// The body's result; `failed` where it throws.
template <typename Result, typename Body>
Result guarded(char const* plugin, Result failed, Body body) noexcept {
    try {
        return body();
    } catch (std::exception const& error) {
        log_error(std::string(plugin) + ": " + error.what() + ".");
    } catch (...) {
        log_error(std::string(plugin) + ": failed.");
    }
    return failed;
}

} // namespace detrt
