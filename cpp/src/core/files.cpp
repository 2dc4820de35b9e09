#include "core/files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

namespace detrt {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path) {
    throw std::system_error(errno, std::generic_category(), path.string());
}

}  // namespace

void write_whole(const std::filesystem::path& path, std::string_view content) {
    const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    std::filesystem::create_directories(folder);
    std::string part = (folder / ("." + path.filename().string() + ".XXXXXX")).string();
    const int file = ::mkstemp(part.data());
    if (file < 0) fail(path);
    bool good = true;
    while (good && !content.empty()) {
        const auto written = ::write(file, content.data(), content.size());
        good = written > 0;
        if (good) content.remove_prefix(static_cast<std::size_t>(written));
    }
    const mode_t mask = ::umask(0);
    ::umask(mask);
    good = ::fchmod(file, 0666 & ~mask) == 0 && good;  // mkstemp makes it private; a result is shared as any other file
    good = ::close(file) == 0 && good;
    if (!good || std::rename(part.c_str(), path.c_str()) != 0) {
        const int why = errno;
        ::unlink(part.c_str());
        errno = why;
        fail(path);
    }
}

}  // namespace detrt
