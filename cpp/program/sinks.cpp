#include "sinks.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <system_error>

#include "core/draw.hpp"
#include "core/results.hpp"
#include "detrt/error.hpp"

namespace detrt::program {
namespace {

namespace fs = std::filesystem;

UsageError unwritable(const fs::path& path, const std::string& why) {
    return {path.string() + " cannot be written: " + why + ".",
            "Give another path, or see to its folder, its permissions and the free space."};
}

void refuse_to_replace(const fs::path& input, const fs::path& output) {
    std::error_code missing;
    if (fs::equivalent(input, output, missing))
        throw UsageError(output.string() + " is read, and would be lost when the result is written there.",
                         "Give the result another name, or another folder.");
}

std::string picture_of(const fs::path& photo) { return photo.stem().string() + ".jpg"; }

class JsonLines final : public Sink {
  public:
    JsonLines(const fs::path& path, const ModelContract& contract) : path_(path), contract_(contract) {
        std::error_code ignored;
        if (path.has_parent_path()) fs::create_directories(path.parent_path(), ignored);
        errno = 0;
        file_.open(path);
        if (!file_)
            throw UsageError(path.string() + " cannot be written: " + std::strerror(errno) + ".",
                             "Give another --json FILE.");
    }

    void add(const Outcome& outcome) override {
        const auto& name = outcome.source.name;
        errno = 0;
        file_ << (outcome.error ? json_error_line(name, outcome.error->what())
                                : json_line(name, outcome.size, outcome.found, contract_))
              << std::endl;
        refuse_loss();
    }

    void end() override {
        errno = 0;
        file_.close();
        refuse_loss();
    }

  private:
    void refuse_loss() const {
        if (!file_) throw unwritable(path_, std::strerror(errno ? errno : EIO));
    }

    fs::path path_;
    const ModelContract& contract_;
    std::ofstream file_;
};

class Pictures final : public Sink {
  public:
    Pictures(const fs::path& folder, const ModelContract& contract) : folder_(folder), contract_(contract) {
        std::error_code error;
        fs::create_directories(folder, error);
        if (error)
            throw UsageError(folder.string() + " cannot be made: " + error.message() + ".", "Give another --save DIR.");
    }

    void add(const Outcome& outcome) override {
        if (outcome.error) return;
        const auto& source = outcome.source;
        const auto photo = decode_photo(read_bytes(std::get<fs::path>(source.content)), source.name, source.upright);
        const auto picture = folder_ / free_name(picture_of(source.name));
        try {
            write_jpeg(drawn(photo, outcome.found, contract_), picture);
        } catch (const std::system_error& error) {
            throw unwritable(picture, error.code().message());
        }
    }

  private:
    // A name that no other photo of this run has: two folders may hold one of the same name.
    fs::path free_name(const fs::path& wanted) {
        auto name = wanted;
        for (int number = 2; !taken_.insert(name).second; ++number)
            name = wanted.stem().string() + "-" + std::to_string(number) + wanted.extension().string();
        return name;
    }

    fs::path folder_;
    const ModelContract& contract_;
    std::set<fs::path> taken_;
};

class CocoResults final : public Sink {
  public:
    CocoResults(const fs::path& path, const fs::path& annotations, const ModelContract& contract)
        : path_(path), ids_(annotations, contract) {}

    void add(const Outcome& outcome) override {
        if (outcome.error) outcome.error->raise();  // a score of a part of the set would be none
        ids_.add(fs::path(outcome.source.name), outcome.found);
    }

    void end() override {
        try {
            ids_.save(path_);
        } catch (const std::system_error& error) {
            throw UsageError(path_.string() + " cannot be written: " + error.code().message() + ".",
                             "Give another --coco-results FILE.");
        }
    }

  private:
    fs::path path_;
    CocoIds ids_;
};

}  // namespace

void keep_originals(const std::vector<fs::path>& photos, const Arguments& asked) {
    auto inputs = photos;
    inputs.insert(inputs.end(), {asked.engine, asked.onnx, asked.annotations});
    for (const auto& input : inputs)
        for (const auto& output : {asked.json, asked.coco_results}) refuse_to_replace(input, output);
    if (asked.save.empty()) return;
    for (const auto& photo : photos) refuse_to_replace(photo, asked.save / picture_of(photo));
}

std::vector<std::unique_ptr<Sink>> sinks_for(const Arguments& asked, const ModelContract& contract) {
    std::vector<std::unique_ptr<Sink>> sinks;
    if (!asked.json.empty()) sinks.push_back(std::make_unique<JsonLines>(asked.json, contract));
    if (!asked.save.empty()) sinks.push_back(std::make_unique<Pictures>(asked.save, contract));
    if (!asked.coco_results.empty())
        sinks.push_back(std::make_unique<CocoResults>(asked.coco_results, asked.annotations, contract));
    return sinks;
}

}  // namespace detrt::program
