#include "core/text.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace detrt {

std::string joined(const std::vector<std::string>& words, std::string_view between) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) text.append(i ? between : "").append(words[i]);
    return text;
}

std::string grouped(std::uint64_t number) {
    std::string digits = std::to_string(number);
    for (int place = static_cast<int>(digits.size()) - 3; place > 0; place -= 3) digits.insert(place, ",");
    return digits;
}

std::string tuple_text(const std::vector<std::int64_t>& values) {
    std::vector<std::string> words;
    for (const auto value : values) words.push_back(std::to_string(value));
    return "(" + joined(words, ", ") + (values.size() == 1 ? ",)" : ")");
}

std::string number_text(double value) {
    char text[32];
    for (int digits = 1; digits <= 17; ++digits) {
        std::snprintf(text, sizeof text, "%.*g", digits, value);
        if (std::strtod(text, nullptr) == value) break;
    }
    const std::string_view shown = text;
    return std::string(shown) + (shown.find_first_not_of("-0123456789") == std::string_view::npos ? ".0" : "");
}

std::string shell_word(const std::string& word) {
    const auto plain = [](unsigned char c) {
        return std::isalnum(c) || std::string_view("@%+=:,./-_").find(c) != std::string_view::npos;
    };
    if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
    std::string quoted = "'";
    for (const char c : word) quoted += c == '\'' ? std::string("'\"'\"'") : std::string(1, c);
    return quoted + "'";
}

std::string quoted_start(const std::vector<std::uint8_t>& data, std::size_t most) {
    std::string inside;
    bool apostrophe = false, quote = false;
    for (std::size_t i = 0; i < std::min(most, data.size()); ++i) {
        const unsigned char c = data[i];
        apostrophe |= c == '\'';
        quote |= c == '"';
        char escaped[8];
        if (c == '\n' || c == '\r' || c == '\t' || c == '\\') {
            inside += c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : "\\\\";
        } else if (c < 32 || c == 127) {
            std::snprintf(escaped, sizeof escaped, "\\x%02x", c);
            inside += escaped;
        } else {
            inside += c < 128 ? std::string(1, static_cast<char>(c)) : std::string("\uFFFD");
        }
    }
    if (apostrophe && !quote) return '"' + inside + '"';
    for (std::size_t at = 0; (at = inside.find('\'', at)) != std::string::npos; at += 2) inside.insert(at, "\\");
    return "'" + inside + "'";
}

std::string one_line(std::string_view text) {
    std::istringstream words{std::string(text)};
    std::string line, word;
    while (words >> word) line += (line.empty() ? "" : " ") + word;
    line.erase(line.find_last_not_of('.') + 1);
    return line;
}

bool ends_with(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
}

}  // namespace detrt
