#include "machine.hpp"

#include <sys/utsname.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "detrt/detrt.hpp"

namespace detrt::program {
namespace {

// The fields of a query of nvidia-smi; none where it does not answer.
std::vector<std::string> ask_gpu(const std::string& fields, int device) {
    const auto command = "nvidia-smi --query-gpu=" + fields + " --format=csv,noheader,nounits -i " +
                         std::to_string(device) + " 2>/dev/null";
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    std::string answer;
    char piece[256];
    while (pipe && std::fgets(piece, sizeof piece, pipe.get())) answer += piece;
    std::vector<std::string> parts;
    std::istringstream rest(answer);
    for (std::string part; std::getline(rest, part, ',');) {
        part.erase(0, part.find_first_not_of(" \n"));
        part.erase(part.find_last_not_of(" \n") + 1);
        parts.push_back(part);
    }
    return parts;
}

std::string cpu_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
    return platform_here();
}

}  // namespace

Machine this_machine(int device, const std::string& runtime) {
    utsname told{};
    ::uname(&told);
    Machine machine;
    machine.facts = {{"cpu", cpu_name()},
                     {"cores", std::to_string(std::thread::hardware_concurrency())},
                     {"system", std::string(told.sysname) + " " + told.release}};
    const auto answer = ask_gpu("name,driver_version,clocks.max.sm,clocks.max.mem,power.limit,compute_cap", device);
    const char* names[] = {"gpu", "driver_version", "clocks.max.sm", "clocks.max.mem", "power.limit", "compute_cap"};
    for (std::size_t i = 0; i < answer.size() && i < std::size(names); ++i)
        machine.facts.emplace_back(names[i], answer[i]);
    machine.versions = {{"detrt", std::string(version()) + " (C++)"}, {"runtime", runtime}};
    return machine;
}

std::optional<int> gpu_clock(int device) {
    const auto answer = ask_gpu("clocks.sm", device);
    const bool number =
        answer.size() == 1 && !answer[0].empty() && answer[0].find_first_not_of("0123456789") == std::string::npos;
    return number ? std::optional(std::stoi(answer[0])) : std::nullopt;
}

std::string now() {
    const auto time = std::time(nullptr);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S+00:00", std::gmtime(&time));
    return text;
}

}  // namespace detrt::program
