"""Photos of every kind, whole and damaged."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from detrt.images.read import Pixels
from detrt.images.sources import Item, PhotoBytes, PhotoPixels

REFUSED = b"not on a gpu"
"""In the files that the stand-in for a decoder chip does not take."""


def photo(level: int, height: int = 30, width: int = 40) -> Pixels:
    ramp = np.linspace(0, 40, width).astype(np.uint8)
    return np.clip(np.broadcast_to(ramp[None, :, None], (height, width, 3)) + level, 0, 255).astype(np.uint8)


def jpeg(pixels: Pixels, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, comment=comment)
    return file.getvalue()


def items() -> list[Item]:
    """Every kind of photo: JPEGs of all sizes, pixels, a PNG, one that the device refuses, a cut one, a broken one."""
    png = io.BytesIO()
    Image.fromarray(photo(90)).save(png, "PNG")
    whole = jpeg(photo(50, 100, 90))
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    spoilt = jpeg(noise, REFUSED)[:-20_000] + b"\xff\xd9"  # whole to look at, refused by the device, damaged in truth
    return [
        PhotoBytes(jpeg(photo(0)), "small"),
        PhotoBytes(jpeg(photo(20, 1, 1)), "one pixel"),
        PhotoPixels(photo(40, 25, 35), "pixels"),
        PhotoBytes(whole[: len(whole) // 2], "cut"),
        PhotoBytes(jpeg(photo(60, 200, 300)), "large"),
        PhotoBytes(png.getvalue(), "png"),
        PhotoBytes(b"buy milk", "text"),
        PhotoBytes(jpeg(photo(120, 33, 77), REFUSED), "refused"),
        PhotoBytes(spoilt, "spoilt"),
        PhotoBytes(jpeg(noise)[:-20_000] + b"\xff\xd9", "early end"),  # the same, which the device takes
        PhotoBytes(jpeg(noise)[:-300] + b"\xff\xd9", "late end"),  # too little is missing for the device to see
        PhotoBytes(jpeg(np.full((40, 40, 3), 200, np.uint8)), "flat, and whole"),
        PhotoBytes(jpeg(photo(160, 500, 20)), "tall"),
    ]
