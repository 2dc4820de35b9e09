// What detrt-run does once it knows what is asked.
#pragma once

#include "arguments.hpp"

namespace detrt::program {

// The exit code. Made with a GPU it detects or times; made without, it looks at what it is given and says what it
// cannot.
int run(const Arguments& asked);

}  // namespace detrt::program
