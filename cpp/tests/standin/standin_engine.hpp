// How the stand-in for engines runs.
#pragma once

#include <atomic>

namespace standin {

struct Engine {
    std::atomic<int> milliseconds{0};  // that a run takes beyond its work
    std::atomic<int> running{0};       // at a time
    std::atomic<bool> crowded{false};  // more than one ran at a time, which TensorRT-RTX does not survive
};

// Of all engines of the process.
Engine& engine();

}  // namespace standin
