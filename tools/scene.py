"""A street scene drawn from nothing, for machines that have no photo: `python tools/scene.py OUT.png`.

Detectors trained on photos know what is in it, so it can stand where a photo may not: in the README and in a demo
without network.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE = (960, 640)  # width, height
ZOOM = 2  # drawn larger and scaled down, for smooth edges


def street() -> Image.Image:
    """The scene as an RGB image of 960x640."""
    rng = np.random.default_rng(7)
    scene = _background(rng)
    draw = ImageDraw.Draw(scene)
    _stop_sign(draw, 170, 190, 78)
    _traffic_light(draw, 480, 130)
    _clock(draw, 770, 170, 92)
    _ball(draw, 330, 560, 44)
    _bus(draw, 545, 390)
    scene = scene.resize(SIZE, Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(0.6))
    grain = rng.normal(0, 4, (SIZE[1], SIZE[0], 1))
    return Image.fromarray(np.clip(np.asarray(scene) + grain, 0, 255).astype(np.uint8))


def _background(rng: np.random.Generator) -> Image.Image:
    width, height = SIZE[0] * ZOOM, SIZE[1] * ZOOM
    y = np.linspace(0, 1, height)[:, None, None]
    sky = np.array([120, 165, 215]) * (1 - y) + np.array([225, 230, 235]) * y
    pixels = np.broadcast_to(sky, (height, width, 3)).copy()
    horizon = int(height * 0.74)
    road = np.array([96, 96, 100]) + rng.normal(0, 6, (height - horizon, width, 1))
    pixels[horizon:] = road
    pixels[horizon : horizon + 30] = (150, 148, 142)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for left, top, right, color in ((0, 330, 330, (150, 110, 90)), (620, 130, 960, (168, 150, 128))):
        draw.rectangle([left * ZOOM, top * ZOOM, right * ZOOM, horizon], fill=color)
    return image


def _at(*points: float) -> list[float]:
    return [value * ZOOM for value in points]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * ZOOM)


def _stop_sign(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float) -> None:
    draw.rectangle(_at(x - 6, y, x + 6, 520), fill=(120, 122, 126))
    for size, color in ((radius, (235, 235, 235)), (radius * 0.93, (186, 22, 28))):
        corners = [math.pi / 8 + k * math.pi / 4 for k in range(8)]
        draw.polygon(_at(*(v for a in corners for v in (x + size * math.cos(a), y + size * math.sin(a)))), fill=color)
    white = (245, 245, 245)
    draw.text(_at(x, y), "STOP", fill=white, font=_font(52), anchor="mm", stroke_width=3, stroke_fill=white)


def _traffic_light(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    draw.rectangle(_at(x - 7, y, x + 7, 500), fill=(70, 72, 74))
    draw.rounded_rectangle(_at(x - 34, y - 80, x + 34, y + 90), radius=16 * ZOOM, fill=(34, 36, 34))
    for dy, color in ((-50, (240, 40, 30)), (5, (70, 58, 20)), (60, (20, 60, 35))):
        draw.ellipse(_at(x - 21, y + dy - 21, x + 21, y + dy + 21), fill=color)
        draw.arc(_at(x - 25, y + dy - 27, x + 25, y + dy + 23), 180, 360, fill=(12, 12, 12), width=6 * ZOOM)


def _clock(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float) -> None:
    draw.ellipse(_at(x - radius, y - radius, x + radius, y + radius), fill=(60, 50, 44))
    inner = radius * 0.9
    draw.ellipse(_at(x - inner, y - inner, x + inner, y + inner), fill=(246, 243, 232))
    for hour in range(1, 13):
        angle = math.radians(hour * 30 - 90)
        place = _at(x + inner * 0.8 * math.cos(angle), y + inner * 0.8 * math.sin(angle))
        draw.text(place, str(hour), fill=(20, 20, 20), font=_font(19), anchor="mm")
    for angle, length, width in ((305, 0.5, 7), (60, 0.72, 5)):
        turned = math.radians(angle - 90)
        end = (x + radius * length * math.cos(turned), y + radius * length * math.sin(turned))
        draw.line(_at(x, y, *end), fill=(20, 20, 20), width=width * ZOOM)
    draw.ellipse(_at(x - 6, y - 6, x + 6, y + 6), fill=(20, 20, 20))


def _ball(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float) -> None:
    draw.ellipse(_at(x - radius, y + radius * 0.75, x + radius * 1.2, y + radius * 1.15), fill=(70, 70, 74))
    draw.ellipse(_at(x - radius, y - radius, x + radius, y + radius), fill=(240, 240, 240), outline=(60, 60, 60))
    for k in range(6):
        angle = k * 2 * math.pi / 5
        px, py = (x, y) if k == 5 else (x + radius * 0.72 * math.cos(angle), y + radius * 0.72 * math.sin(angle))
        size = radius * 0.3
        corners = [angle + j * 2 * math.pi / 5 for j in range(5)]
        points = (v for a in corners for v in (px + size * math.cos(a), py + size * math.sin(a)))
        draw.polygon(_at(*points), fill=(25, 25, 28))


def _bus(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    draw.rounded_rectangle(_at(x, y - 60, x + 380, y + 110), radius=14 * ZOOM, fill=(196, 30, 36))
    draw.rectangle(_at(x, y + 62, x + 380, y + 74), fill=(245, 240, 230))
    for k in range(5):
        window = _at(x + 14 + k * 60, y - 44, x + 66 + k * 60, y + 20)
        draw.rounded_rectangle(window, radius=6 * ZOOM, fill=(60, 78, 92))
    draw.rounded_rectangle(_at(x + 318, y - 44, x + 372, y + 100), radius=6 * ZOOM, fill=(72, 92, 108))
    for wheel in (70, 300):
        draw.ellipse(_at(x + wheel - 34, y + 76, x + wheel + 34, y + 144), fill=(24, 24, 26))
        draw.ellipse(_at(x + wheel - 16, y + 94, x + wheel + 16, y + 126), fill=(150, 152, 156))
    draw.ellipse(_at(x + 362, y + 78, x + 378, y + 94), fill=(255, 250, 200))


if __name__ == "__main__":
    street().save(Path(sys.argv[1]))
