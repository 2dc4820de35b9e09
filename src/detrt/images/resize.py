"""Any photo at the network's input size, by the contract's rule, and the way back for its boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from detrt.contract import ResizeRule
from detrt.images.read import Pixels


@dataclass(frozen=True)
class Placement:
    """Where a photo lies in the network's input: it covers `size` (h, w) pixels from (`top`, `left`)."""

    photo: tuple[int, int]  # h, w
    input: tuple[int, int]  # h, w
    size: tuple[int, int]
    top: int = 0
    left: int = 0

    @property
    def scale(self) -> tuple[float, float]:
        """Photo pixels per input pixel, horizontally and vertically."""
        return self.photo[1] / self.size[1], self.photo[0] / self.size[0]

    @property
    def span(self) -> tuple[float, float]:
        """Width and height of the whole input in photo pixels; the photo's own where nothing is padded."""
        across, down = self.scale
        return self.input[1] * across, self.input[0] * down

    @property
    def offset(self) -> tuple[float, float]:
        """X and y of the photo's corner in the input, in photo pixels."""
        across, down = self.scale
        return self.left * across, self.top * down


def place(photo: tuple[int, int], input_size: tuple[int, int], rule: ResizeRule) -> Placement:
    """Where a photo of (h, w) comes to lie in an input of (h, w)."""
    if rule.mode == "stretch":
        return Placement(photo, input_size, input_size)
    ratio = min(input_size[0] / photo[0], input_size[1] / photo[1])
    height, width = (max(1, min(limit, round(side * ratio))) for side, limit in zip(photo, input_size, strict=True))
    return Placement(photo, input_size, (height, width), (input_size[0] - height) // 2, (input_size[1] - width) // 2)


def resize(pixels: Pixels, placement: Placement, rule: ResizeRule) -> Pixels:
    """The photo as the network's input size, (h, w, 3) uint8: Pillow's bilinear, antialiased or not."""
    height, width = placement.size
    if (height, width) == pixels.shape[:2]:
        scaled = pixels
    else:
        image = Image.fromarray(pixels)
        if rule.antialias:
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        else:
            across, down = placement.scale
            image = image.transform(
                (width, height), Image.Transform.AFFINE, (across, 0, 0, 0, down, 0), Image.Resampling.BILINEAR
            )
        scaled = np.asarray(image)
    if placement.size == placement.input:
        return scaled
    padded = np.full((*placement.input, 3), rule.pad, np.uint8)
    padded[placement.top : placement.top + height, placement.left : placement.left + width] = scaled
    return padded
