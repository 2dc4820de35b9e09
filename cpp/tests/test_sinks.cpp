// Results that cannot be written are an error, not a loss.
#include <doctest/doctest.h>

#include "detrt/error.hpp"
#include "folder.hpp"
#include "sinks.hpp"

using namespace detrt;
namespace fs = std::filesystem;

namespace {

std::unique_ptr<program::Sink> sink_for(const program::Arguments& asked) {
    static const ModelContract contract;
    return std::move(program::sinks_for(asked, contract).front());
}

}  // namespace

TEST_CASE("a line that finds no room on the disk ends the run" * doctest::skip(!fs::exists("/dev/full"))) {
    program::Arguments asked;
    asked.json = "/dev/full";
    const auto sink = sink_for(asked);
    CHECK_THROWS_WITH_AS(sink->add({Source::file("a.jpg"), {1, 2}, {}, {}}),
                         "/dev/full cannot be written: No space left on device. Give another path, or see to its "
                         "folder, its permissions and the free space.",
                         UsageError);
}

TEST_CASE("so does a picture that cannot take its name") {
    const Folder folder;
    const auto photo = folder.path / "a.jpg";
    write_jpeg(Pixels({8, 8}), photo);
    program::Arguments asked;
    asked.save = folder.path / "drawn";
    fs::create_directories(asked.save / "a.jpg");
    CHECK_THROWS_AS(sink_for(asked)->add({Source::file(photo), {8, 8}, {}, {}}), UsageError);
}

TEST_CASE("nothing is written over what is read") {
    const Folder folder;
    const auto photo = folder.path / "a.jpg", drawn = folder.path / "drawn";
    write_jpeg(Pixels({8, 8}), photo);
    program::Arguments asked;
    asked.json = folder.path / "found.jsonl";
    asked.save = drawn;
    CHECK_NOTHROW(program::keep_originals({photo}, asked));
    asked.save = folder.path;
    CHECK_THROWS_AS(program::keep_originals({photo}, asked), UsageError);
    asked.save = drawn;
    asked.engine = folder.path / "m.engine";
    fs::copy(photo, asked.engine);
    asked.json = folder.path / "drawn" / ".." / "m.engine";
    fs::create_directories(drawn);
    CHECK_THROWS_AS(program::keep_originals({photo}, asked), UsageError);
}
