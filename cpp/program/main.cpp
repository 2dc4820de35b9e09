// detrt-run: photos in, boxes out, without Python. Errors end in two sentences and the exit codes of
// docs/exit-codes.md.
#include <exception>
#include <iostream>

#include "arguments.hpp"
#include "detrt/error.hpp"
#include "run.hpp"

namespace {

constexpr int kFailed = 1;

// Most special first: a ContractError is a ModelError.
int exit_code(const detrt::Error& error) {
    if (dynamic_cast<const detrt::UsageError*>(&error)) return 2;
    if (dynamic_cast<const detrt::ImageError*>(&error)) return 4;
    if (dynamic_cast<const detrt::ModelError*>(&error)) return 5;
    if (dynamic_cast<const detrt::DatasetError*>(&error)) return 6;
    return kFailed;
}

}  // namespace

int main(int count, char** words) {
    try {
        const auto asked = detrt::program::arguments_from({words, words + count});
        return asked ? detrt::program::run(*asked) : 0;
    } catch (const detrt::Error& error) {
        std::cerr << "Error: " << error.problem() << "\nDo: " << error.remedy() << "\n";
        return exit_code(error);
    } catch (const std::exception& error) {
        std::cerr << "Error: detrt-run failed: " << error.what()
                  << ".\nDo: This is a fault of detrt. Please report it with the command that led to it.\n";
        return kFailed;
    }
}
