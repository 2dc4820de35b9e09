#include "core/draw.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_easy_font.h>
#pragma GCC diagnostic pop

namespace detrt {
namespace {

using Colour = std::array<std::uint8_t, 3>;

// Far apart from each other and from most photos.
constexpr std::array<Colour, 8> kColours = {{{255, 64, 129},
                                             {0, 200, 83},
                                             {41, 121, 255},
                                             {255, 171, 0},
                                             {170, 0, 255},
                                             {0, 184, 212},
                                             {255, 82, 82},
                                             {118, 200, 3}}};
constexpr int kLetterHeight = 12;  // of stb_easy_font, with the room below

void fill(Pixels& picture, float left, float top, float right, float bottom, Colour colour) {
    const auto inside = [](float value, int limit) {
        return std::clamp(static_cast<int>(std::lround(value)), 0, limit);
    };
    const int x0 = inside(left, picture.size.width), x1 = inside(right, picture.size.width);
    for (int y = inside(top, picture.size.height); y < inside(bottom, picture.size.height); ++y)
        for (int x = x0; x < x1; ++x)
            std::copy(colour.begin(), colour.end(), &picture.data[(std::size_t(y) * picture.size.width + x) * 3]);
}

void frame(Pixels& picture, const std::array<float, 4>& box, float thickness, Colour colour) {
    const auto [left, top, right, bottom] = box;
    const float half = thickness / 2;
    fill(picture, left - half, top - half, right + half, top + half, colour);
    fill(picture, left - half, bottom - half, right + half, bottom + half, colour);
    fill(picture, left - half, top - half, left + half, bottom + half, colour);
    fill(picture, right - half, top - half, right + half, bottom + half, colour);
}

// Text in a filled box whose lower left corner is given; letters are quads of whole pixels.
void caption(Pixels& picture, std::string text, float left, float bottom, float scale, Colour colour) {
    struct Vertex {
        float x, y, z;
        std::uint8_t rgba[4];
    };
    static_assert(sizeof(Vertex) == 16, "what stb_easy_font writes");
    const float width = scale * float(stb_easy_font_width(text.data()) + 6);
    const float top = std::max(0.0f, bottom - scale * kLetterHeight);
    fill(picture, left, top, left + width, top + scale * kLetterHeight, colour);
    std::vector<Vertex> vertices(text.size() * 64);
    const int quads = stb_easy_font_print(0, 0, text.data(), nullptr, vertices.data(),
                                          static_cast<int>(vertices.size() * sizeof(Vertex)));
    for (int i = 0; i < quads; ++i) {
        const auto &first = vertices[4 * std::size_t(i)], &third = vertices[4 * std::size_t(i) + 2];
        const auto x = [&](float value) { return left + scale * (value + 2); };
        const auto y = [&](float value) { return top + scale * (value + 2); };
        fill(picture, x(first.x), y(first.y), x(third.x), y(third.y), {255, 255, 255});
    }
}

}  // namespace

Pixels drawn(const Pixels& photo, const Detections& found, const ModelContract& contract) {
    Pixels picture = photo;
    const float scale = std::max(1.0f, std::round(float(std::min(photo.size.height, photo.size.width)) / 480.0f));
    for (auto one = found.rbegin(); one != found.rend(); ++one) {
        const auto colour = kColours[static_cast<std::size_t>(one->label) % kColours.size()];
        char score[16];
        std::snprintf(score, sizeof score, " %.2f", double(one->score));
        frame(picture, one->box, 2 * scale, colour);
        caption(picture, contract.name_of(one->label) + score, std::max(0.0f, one->box[0] - scale), one->box[1], scale,
                colour);
    }
    return picture;
}

}  // namespace detrt
