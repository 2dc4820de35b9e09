#include <doctest/doctest.h>

#include "timings.hpp"

using namespace detrt::program;

TEST_CASE("percentiles lie between their neighbours") {
    CHECK(percentile({4, 1, 3, 2}, 50) == doctest::Approx(2.5));
    CHECK(percentile({1, 2, 3, 4}, 0) == 1);
    CHECK(percentile({1, 2, 3, 4}, 100) == 4);
    CHECK(percentile({7}, 99) == 7);
}

TEST_CASE("throughput comes from the runs of one stream, and from the wall of several") {
    Subject subject;
    subject.batch = 4;
    const std::vector<Round> rounds = {{{2, 2}, 10}, {{2, 2}, 10}};
    CHECK(timings_from(subject, rounds).images_per_second == doctest::Approx(2000));
    subject.streams = 2;
    CHECK(timings_from(subject, rounds).images_per_second == doctest::Approx(800));
    CHECK(timings_from(subject, rounds, {1980, 1755}).clocks_mhz->first == 1755);
}
