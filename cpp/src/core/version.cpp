#include "detrt/detrt.hpp"

namespace detrt {

const char* version() { return DETRT_VERSION; }

}  // namespace detrt
