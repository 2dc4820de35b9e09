"""Pillow's antialiased bilinear in integers, as the GPU computes it: `kernels/preprocess.cu` in NumPy.

The horizontal pass comes first, as in Pillow up to 12; Pillow 13 begins with the vertical one where that is quicker,
which rounds otherwise. Nothing on the way to a detection calls this: the CPU has Pillow itself. It is what
the kernel is held against where there is no GPU, and what a GPU that disagrees with Pillow is debugged with.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detrt.contract import ResizeRule
from detrt.images.read import Pixels
from detrt.images.resize import Placement

BITS = 22
"""Of a coefficient's fraction: Pillow's PRECISION_BITS, 32 - 8 - 2."""

HALF = 1 << BITS - 1
HAIR = 1 << BITS - 10
"""What a sum starts with to be rounded; or to be cut, forgiving coefficients that add up to a hair less than one."""


def resize_fixed_point(pixels: Pixels, placement: Placement, rule: ResizeRule) -> Pixels:
    """The photo (h, w, 3) uint8 at the input's size, padding included: what `detrt.images.resize.resize` gives.

    At most two grey levels apart from it: two passes that round are up to one off the exact value, and Pillow's err on
    their own where it begins with the other one. Without antialiasing Pillow rounds once, and one level is the most.
    """
    rows, columns = placement.size
    across = _pass(pixels.transpose(1, 0, 2), coefficients(pixels.shape[1], columns, rule.antialias), HALF)
    scaled = _pass(
        across.transpose(1, 0, 2), coefficients(pixels.shape[0], rows, rule.antialias), HALF if rule.antialias else HAIR
    )
    padded = np.full((*placement.input, 3), rule.pad, np.uint8)
    padded[placement.top : placement.top + rows, placement.left : placement.left + columns] = scaled
    return padded


def coefficients(size: int, wanted: int, antialias: bool) -> npt.NDArray[np.int64]:
    """How much each of `size` pixels adds to each of `wanted` along an axis, (wanted, size), in units of 2**-22."""
    pixel, output = np.arange(size, dtype=np.int64), np.arange(wanted, dtype=np.int64)
    distance = np.abs((2 * pixel + 1)[None] * wanted - (2 * output + 1)[:, None] * size)
    reach = 2 * (max(size, wanted) if antialias else wanted)
    weight = np.maximum(reach - distance, 0)
    norm = np.float32(1 << BITS) / weight.sum(axis=1, keepdims=True).astype(np.float32)
    scaled: npt.NDArray[np.int64] = np.rint(weight.astype(np.float32) * norm).astype(np.int64)
    return scaled


def _pass(lines: Pixels, factors: npt.NDArray[np.int64], start: int) -> Pixels:
    """Resize along the first axis, rounding to 8 bits. Float64 sums are exact here: they stay below 2**53."""
    flat = lines.reshape(len(lines), -1).astype(np.float64)
    sums = (factors.astype(np.float64) @ flat).astype(np.int64) + start
    levels: Pixels = np.clip(sums >> BITS, 0, 255).astype(np.uint8)
    return levels.reshape(len(factors), *lines.shape[1:])
