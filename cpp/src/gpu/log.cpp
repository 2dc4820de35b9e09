#include "gpu/log.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace detrt {

void Log::log(Severity severity, const char* message) noexcept {
    if (severity > Severity::kERROR) return;
    const std::lock_guard held(lock_);
    const auto line = one_line(message);
    if (std::find(errors_.begin(), errors_.end(), line) == errors_.end()) errors_.push_back(line);
}

std::string Log::gist() {
    const std::lock_guard held(lock_);
    errors_.resize(std::min<std::size_t>(errors_.size(), 2));
    const auto text = errors_.empty() ? "it gave no reason" : joined(errors_, "; ");
    errors_.clear();
    return text;
}

Log& the_log() {
    static Log log;
    return log;
}

}  // namespace detrt
