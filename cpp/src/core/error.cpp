#include "detrt/error.hpp"

#include <utility>

namespace detrt {

Error::Error(std::string problem, std::string remedy)
    : std::runtime_error(problem + " " + remedy), problem_(std::move(problem)), remedy_(std::move(remedy)) {}

}  // namespace detrt
