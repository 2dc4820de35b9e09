// Values as sentences show them, the way Python writes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace detrt {

std::string joined(const std::vector<std::string>& words, std::string_view between);

// 1234567 -> `1,234,567`.
std::string grouped(std::uint64_t number);

// (1, 3, 640, 640), as Python writes a tuple.
std::string tuple_text(const std::vector<std::int64_t>& values);

// The shortest text that reads back as the same number, with a point: 0.5, 1.0.
std::string number_text(double value);

// A word as a shell takes it, quoted where it must be.
std::string shell_word(const std::string& word);

// The first bytes of a file as Python writes a string: 'abc\x00'. What is not ASCII becomes U+FFFD.
std::string quoted_start(const std::vector<std::uint8_t>& data, std::size_t most);

// On one line, without the full stop at its end: what others' messages become inside our sentences.
std::string one_line(std::string_view text);

bool ends_with(std::string_view text, std::string_view end);
std::string lower(std::string text);

}  // namespace detrt
