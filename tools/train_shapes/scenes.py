"""Pictures of shapes, drawn from a seed: what the model learns from, and what it is judged on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter
from tools.train_shapes.outlines import CLASSES, Outline, Rng, blob, bounds, outline

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SIDE = 320
MOST = 8  # objects of a picture
SIZES = (24, 200)  # longer side of an object in pixels, where the picture has SIDE
LEAST_AT_FIRST = 56  # the smaller of SIZES at difficulty 0
ZOOM = 2  # masks are drawn larger and averaged, for smooth edges
SEEN = 0.55  # the share of an object that others leave to be seen, at least
INSIDE = 0.75  # the share of its width and height that lies in the picture, at least
TRIES = 6
NOISE_SIDE = 1024


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it.

    Attributes:
        pixels: (side, side, 3) uint8, RGB.
        boxes: (n, 4) float32; x1, y1, x2, y2 in pixels, as tight as the masks are, to half a pixel. What another
            object hides still counts.
        labels: (n,) int64.
    """

    pixels: Pixels
    boxes: Floats
    labels: npt.NDArray[np.int64]


def scene(rng: Rng, *, difficulty: float = 1.0, side: int = SIDE) -> Scene:
    """Draw a picture.

    Args:
        rng: where all chance comes from.
        difficulty: 0 has one to three large objects that stand out; 1 has up to eight of all sizes that overlap, among
            clutter, in bad light, blurred and noisy.
        side: of the picture, in pixels.
    """
    canvas = _background(rng, side, difficulty)
    _clutter(rng, canvas, difficulty)
    owner = np.full((side, side), -1, np.int16)
    boxes: list[tuple[float, ...]] = []
    labels: list[int] = []
    for _ in range(rng.integers(1, round(3 + (MOST - 3) * difficulty) + 1)):
        label = int(rng.integers(len(CLASSES)))
        for _ in range(TRIES):
            mask = _placed(outline(label, rng), rng, side, _size(rng, side, difficulty))
            if mask is not None and _leaves_enough(mask, owner, len(boxes)):
                _paint(rng, canvas, mask, difficulty)
                owner[mask.rows, mask.columns][mask.alpha > 0.5] = len(boxes)
                boxes.append(mask.box)
                labels.append(label)
                break
    pixels = _photographed(rng, canvas, difficulty)
    return Scene(pixels, np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64))


@dataclass(frozen=True)
class _Mask:
    """Where a shape covers the canvas: `alpha` (rows, columns) in 0..1, and the box that it spans there."""

    rows: slice
    columns: slice
    alpha: Floats
    box: tuple[float, ...]


def _size(rng: Rng, side: int, difficulty: float) -> float:
    smallest, largest = SIZES
    least = smallest + (LEAST_AT_FIRST - smallest) * (1 - difficulty)
    return float(np.exp(rng.uniform(np.log(least), np.log(largest)))) * side / SIDE


def _placed(shape: Outline, rng: Rng, side: int, size: float) -> _Mask | None:
    """The shape at a random place, `size` long; None where too much of it would lie outside."""
    low, high = bounds(shape)
    scale = size / (high - low).max()
    extent = (high - low) * scale
    corner = rng.uniform(-(1 - INSIDE) * extent, side - INSIDE * extent)
    moved = [(points - low) * scale + corner for points in shape]
    left, top = np.maximum(np.floor(corner), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corner + extent) + 1, side).astype(int)
    canvas = Image.new("L", ((right - left) * ZOOM, (bottom - top) * ZOOM))
    draw = ImageDraw.Draw(canvas)
    for points, value in zip(moved, (255, 0), strict=False):
        draw.polygon([tuple(point) for point in (points - (left, top)) * ZOOM], fill=value)
    bbox = canvas.getbbox()
    if bbox is None or bbox[2] - bbox[0] < 8 or bbox[3] - bbox[1] < 8:
        return None
    x1, y1, x2, y2 = (value / ZOOM for value in bbox)
    alpha: Floats = np.asarray(canvas.reduce(ZOOM), np.float32) / np.float32(255)
    return _Mask(slice(top, bottom), slice(left, right), alpha, (left + x1, top + y1, left + x2, top + y2))


def _leaves_enough(mask: _Mask, owner: npt.NDArray[np.int16], count: int) -> bool:
    """Whether every earlier object is still seen well with this one on top."""
    hidden = np.bincount(owner[mask.rows, mask.columns][mask.alpha > 0.5] + 1, minlength=count + 1)[1:]
    if not hidden.any():
        return True
    left = np.bincount(owner.ravel() + 1, minlength=count + 1)[1:]
    return bool((hidden <= (1 - SEEN) * left).all())


def _paint(rng: Rng, canvas: Floats, mask: _Mask, difficulty: float) -> None:
    under = canvas[mask.rows, mask.columns]
    if rng.random() < 0.25:
        _shadow(rng, canvas, mask)
    stand_out = 110 - 65 * difficulty  # grey levels between the object and what lies around it
    color = _color_apart(rng, under.mean((0, 1)), stand_out)
    height, width = mask.alpha.shape
    fill = _texture(rng, height, width, color, 12 + 23 * difficulty)
    fill *= _slope(rng, height, width, 0.15 + 0.2 * difficulty)[..., None]
    under += (fill - under) * mask.alpha[..., None]


def _shadow(rng: Rng, canvas: Floats, mask: _Mask) -> None:
    down, right = rng.integers(2, 7, 2)
    part = canvas[
        mask.rows.start + down : mask.rows.stop + down, mask.columns.start + right : mask.columns.stop + right
    ]
    part *= 1 - rng.uniform(0.2, 0.5) * mask.alpha[: part.shape[0], : part.shape[1], None]


def _color_apart(rng: Rng, other: Floats, distance: float) -> Floats:
    """A colour that is at least so far from another, in its most different channel."""
    color = rng.uniform(10, 245, 3)
    while np.abs(color - other).max() < distance:
        color = rng.uniform(10, 245, 3)
    return color.astype(np.float32)


def _texture(rng: Rng, height: int, width: int, color: Floats, contrast: float) -> Floats:
    """One colour, or that and a neighbour of it as stripes, checks, spots or clouds."""
    kind = rng.integers(5)
    flat = np.broadcast_to(color, (height, width, 3)).copy()
    if kind == 0:
        return flat
    if kind == 1:
        pattern = np.asarray(_stretched(rng.normal(0, 0.6, (5, 5)), height, width))
    else:
        y, x = np.ogrid[:height, :width]
        angle, period = rng.uniform(0, np.pi), rng.uniform(5, 16)
        along = np.sin((x * np.cos(angle) + y * np.sin(angle)) * np.float32(2 * np.pi / period))
        across = np.sin((y * np.cos(angle) - x * np.sin(angle)) * np.float32(2 * np.pi / period))
        pattern = along if kind == 2 else np.sign(along * across) if kind == 3 else (along * across > 0.4) * 1.0
    flat += pattern.astype(np.float32)[..., None] * rng.uniform(-contrast, contrast, 3).astype(np.float32)
    return flat


def _background(rng: Rng, side: int, difficulty: float) -> Floats:
    color = rng.uniform(30, 225, 3).astype(np.float32)
    canvas = _texture(rng, side, side, color, 5 + 25 * difficulty)
    cells = int(rng.integers(2, 4 + round(12 * difficulty)))
    clouds = rng.normal(0, 8 + 22 * difficulty, (cells, cells, 3))
    for channel in range(3):
        canvas[..., channel] += _stretched(clouds[..., channel], side, side)
    return canvas


def _clutter(rng: Rng, canvas: Floats, difficulty: float) -> None:
    """Lines, dots and blobs that are no shape of any class."""
    side = len(canvas)
    for _ in range(rng.integers(0, 1 + round(3 * difficulty))):
        mask = _placed(blob(rng), rng, side, _size(rng, side, difficulty) * 0.6)
        if mask is not None:
            _paint(rng, canvas, mask, difficulty)
    strokes = Image.new("L", (side, side))
    draw = ImageDraw.Draw(strokes)
    for _ in range(rng.integers(0, 1 + round(10 * difficulty))):
        if rng.random() < 0.5:
            draw.line(
                [float(v) for v in rng.uniform(0, side, 4)],
                fill=int(rng.integers(80, 255)),
                width=int(rng.integers(1, 4)),
            )
        else:
            (x, y), radius = rng.uniform(0, side, 2).tolist(), float(rng.uniform(1, 4))
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=int(rng.integers(80, 255)))
    alpha = np.asarray(strokes, np.float32)[..., None] / 255
    canvas += (rng.uniform(0, 255, 3).astype(np.float32) - canvas) * alpha


def _photographed(rng: Rng, canvas: Floats, difficulty: float) -> Pixels:
    """Light, blur and noise."""
    side = len(canvas)
    canvas *= _slope(rng, side, side, 0.1 + 0.35 * difficulty)[..., None]
    canvas *= rng.uniform(1 - 0.35 * difficulty, 1 + 0.2 * difficulty)
    blur = rng.uniform(0, 0.3 + 1.0 * difficulty)
    if blur > 0.3:
        soft = Image.fromarray(canvas.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(blur))
        canvas = np.asarray(soft, np.float32)
    down, right = rng.integers(0, NOISE_SIDE - side, 2)
    noise = _noise()[down : down + side, right : right + side]
    canvas = canvas + noise * np.float32(rng.uniform(0, 3 + 11 * difficulty))
    return canvas.clip(0, 255).astype(np.uint8)


def _slope(rng: Rng, height: int, width: int, strength: float) -> Floats:
    """Light that falls off to one side: about 1, plus and minus `strength` at the ends."""
    angle, amount = rng.uniform(0, 2 * np.pi), rng.uniform(0, strength)
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light: Floats = (1 + amount * (x * np.cos(angle) + y * np.sin(angle))).astype(np.float32)
    return light


def _stretched(grid: npt.NDArray[np.float64], height: int, width: int) -> Floats:
    small = Image.fromarray(grid.astype(np.float32))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


@cache
def _noise() -> Floats:
    """A sheet of grain with deviation 1, of which every picture takes a piece: drawing it anew costs too much."""
    return np.random.default_rng(0).standard_normal((NOISE_SIDE, NOISE_SIDE, 3), np.float32)
