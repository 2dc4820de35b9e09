#include "core/run_out.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace detrt {
namespace {

using Bits = std::string;  // of '0' and '1'

constexpr std::size_t kSteps = 16;        // MCUs that bring the chip into step
constexpr std::size_t kHole = 256;        // zeros in a row, which a lost sector or an unfinished download leaves
constexpr std::size_t kLastBytes = 1024;  // of a file, in which its end marker stands
constexpr std::string_view kSigns = "0110100110010110";  // bits of a coefficient, whose code says how many there are
constexpr std::string_view kOrder =                      // the kinds of the blocks in the steps, by chance
    "10310376614210176661255670454130764274764343126005243271315225247001641213057757027637462131372001622073100"
    "15103170463731303176302111610747375653016772565645527";
constexpr std::size_t kKinds = 8;

using Kinds = std::array<Bits, kKinds>;

// As much of it as there is.
Bytes slice(const Bytes& from, std::size_t start, std::size_t end) {
    start = std::min(start, from.size());
    end = std::clamp(end, start, from.size());
    return {from.begin() + std::ptrdiff_t(start), from.begin() + std::ptrdiff_t(end)};
}

Bits times(std::size_t count, const Bits& bits) {
    Bits all;
    while (count--) all += bits;
    return all;
}

// The code of symbol 0, and those of some others with the bits that follow them.
struct Codes {
    Bits zero;
    std::vector<Bits> others;

    // The others again and again, as often as one takes.
    Bits other(std::size_t number, const Bits& otherwise) const {
        return others.empty() ? otherwise : others[number % others.size()];
    }
};

// Of a Huffman table's 16 counts and its symbols (T.81, C.2): the first `count` below `below`; none without symbol 0.
std::optional<Codes> codes_of(const Bytes& table, std::size_t count, int below) {
    Codes codes;
    std::uint32_t code = 1;  // which keeps a code's leading zeros
    std::size_t at = 16;
    for (std::size_t length = 1; length <= std::min<std::size_t>(16, table.size()); ++length) {
        code *= 2;
        for (const int symbol : slice(table, at, at + table[length - 1])) {
            Bits bits;
            for (auto left = code; left > 1; left /= 2) bits.insert(bits.begin(), left % 2 ? '1' : '0');
            const auto follow = std::size_t(symbol & 15);
            if (!symbol)
                codes.zero = bits;
            else if (follow && symbol < below && codes.others.size() < count)
                codes.others.push_back(bits += kSigns.substr(0, follow));
            ++code;
        }
        if (!codes.zero.empty() && codes.others.size() == count) break;
        at += table[length - 1];
    }
    return codes.zero.empty() ? std::nullopt : std::optional(codes);
}

// A plain block and others: the DC coefficient, some of the 63 AC coefficients, the end of the block.
std::optional<Kinds> blocks_of(const Bytes& dc, const Bytes& ac) {
    const auto steps = codes_of(dc, 3, 12), values = codes_of(ac, 5, 0x40);  // at most three zeros before each value
    if (!steps || !values) return std::nullopt;
    const auto &same = steps->zero, &end = values->zero;
    const auto step = [&](std::size_t number) { return steps->other(number, same); };
    const auto value = [&](std::size_t number) { return values->other(number, ""); };
    const auto a = step(0), b = step(1), c = step(2);
    const auto p = value(0), q = value(1), r = value(2), s = value(3), t = value(4);
    return Kinds{same + end,
                 a + times(9, p) + end,
                 b + times(5, q + p) + end,
                 c + times(7, r) + end,
                 same + times(6, s + q) + end,
                 b + times(4, t) + end,
                 a + times(4, p + r) + end,
                 same + times(3, t + r + s) + end};
}

// Each Huffman table's 16 counts and its symbols, by class and number (T.81, B.2.4.2).
std::map<int, Bytes> tables_of(const Bytes& file, const JpegHeader& header) {
    Bytes segments;
    for (const auto at : header.tables) {
        const auto segment = slice(file, at + 2, at + std::size_t(file[at] << 8 | file[at + 1]));
        segments.insert(segments.end(), segment.begin(), segment.end());
    }
    std::map<int, Bytes> found;
    for (std::size_t at = 0; at < segments.size();) {
        auto end = at + 17;
        for (const auto count : slice(segments, at + 1, at + 17)) end += count;
        found[segments[at]] = slice(segments, at + 1, end);
        at = end;
    }
    return found;
}

// Entropy-coded data, in which a zero follows what looks like a marker's beginning.
void append(Bytes& data, std::string_view bits) {
    for (std::size_t at = 0; at < bits.size(); at += 8) {
        std::uint8_t byte = 0;
        for (const char bit : bits.substr(at, 8)) byte = std::uint8_t(byte << 1 | (bit == '1'));
        data.push_back(byte);
        if (byte == 0xff) data.push_back(0);
    }
}

// How many MCUs the picture has, of so many times 8x8 pixels at most as its components' factors say.
std::size_t mcus_of(Size size, const Bytes& frame) {
    int down = 1, across = 1;
    for (std::size_t at = 1; frame.size() > 3 && at < frame.size(); at += 3) {
        down = std::max(down, frame[at] & 15);
        across = std::max(across, frame[at] >> 4);
    }
    const auto pieces = [](int length, int of) { return std::size_t((length + of - 1) / of); };
    return pieces(size.height, 8 * down) * pieces(size.width, 8 * across);
}

// The kinds of every block of an MCU; none where a table or a code is missing, or there are several scans.
std::vector<Kinds> mcu_of(const Bytes& file, const JpegHeader& header, const Bytes& frame) {
    const auto scan = slice(file, header.scan + 2, header.scan + 3 + 2 * header.components);
    if (scan.empty() || 3 * std::size_t(scan[0]) != frame.size()) return {};
    const auto tables = tables_of(file, header);
    std::vector<Kinds> mcu;
    for (std::size_t component = 0; 2 * component + 2 < scan.size(); ++component) {
        const int factors = frame[3 * component + 1], chosen = scan[2 * component + 2];
        const auto dc = tables.find(chosen >> 4), ac = tables.find(0x10 | (chosen & 15));
        if (dc == tables.end() || ac == tables.end()) return {};
        const auto blocks = blocks_of(dc->second, ac->second);
        if (!blocks) return {};
        mcu.insert(mcu.end(), frame.size() == 3 ? 1 : std::size_t((factors >> 4) * (factors & 15)), *blocks);
    }
    return mcu;
}

std::string_view text_of(const Bytes& file) { return {reinterpret_cast<const char*>(file.data()), file.size()}; }

bool has_holes(const Bytes& file, const JpegHeader& header) {
    static const Bytes hole(kHole);
    static const std::boyer_moore_horspool_searcher search(hole.begin(), hole.end());  // looks at few bytes
    return std::search(file.begin() + std::ptrdiff_t(header.scan), file.end(), search) != file.end();
}

// Where the end marker stands: of the first picture, where several may follow one another; none in a file cut off.
std::optional<std::size_t> end_of(const Bytes& file, const JpegHeader& header) {
    constexpr std::string_view marker("\xff\xd9");
    const auto text = text_of(file);
    const auto end = header.pictures ? text.find(marker, header.scan) : text.rfind(marker);
    const auto first =
        header.pictures ? header.scan : std::max(header.scan, text.size() - std::min(kLastBytes, text.size()));
    return end == text.npos || end < first ? std::nullopt : std::optional(end);
}

}  // namespace

void RunOut::write(const Bytes& file, std::uint8_t* into) const {
    into = std::copy_n(file.begin(), end, into);
    into = std::copy(data.begin(), data.end(), into);
    std::copy(file.begin() + std::ptrdiff_t(rest), file.end(), into);
}

std::optional<RunOut> run_out_of(const Bytes& file, const JpegHeader& header) {
    const auto marker = end_of(file, header);
    if (!marker || !header.sequential || header.restarts || has_holes(file, header)) return std::nullopt;
    const auto frame = slice(file, header.frame, header.frame + 3 * header.components);
    const auto mcu = mcu_of(file, header, frame);
    if (mcu.empty()) return std::nullopt;

    Bits bits, plain;
    for (const auto& kinds : mcu) plain += kinds[0];
    for (std::size_t i = 0; i < std::min(kSteps * mcu.size(), kOrder.size()); ++i)
        bits += mcu[i % mcu.size()][std::size_t(kOrder[i] - '0')];
    const auto steps = (bits.size() + 7) / 8 * 8;
    while (bits.size() < steps + 8 * plain.size()) bits += plain;
    Bytes eight;  // MCUs are whole bytes, wherever in one they begin
    append(eight, std::string_view(bits).substr(steps, 8 * plain.size()));

    RunOut made{*marker, *marker, {}};
    while (file[made.end - 1] == 0xff) --made.end;  // fill bytes, or half of a byte that was cut
    append(made.data, std::string_view(bits).substr(0, steps));
    for (auto left = mcus_of(header.size, frame) / 8 + 4; left > 0; --left)
        made.data.insert(made.data.end(), eight.begin(), eight.end());
    return made;
}

}  // namespace detrt
