"""Photos as the network's input tensor, by the contract."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detrt.contract import ModelContract
from detrt.errors import ImageError
from detrt.images.read import Pixels
from detrt.images.resize import Placement, place, resize

Batch = npt.NDArray[np.float32]
"""(N, 3, height, width) float32."""


class Preprocessor:
    """Resize, reorder and scale photos straight into the rows of a batch. Safe from several threads."""

    def __init__(self, contract: ModelContract) -> None:
        self._contract = contract
        std = np.asarray(contract.std, np.float64)
        self._factor = (contract.scale / std).astype(np.float32)
        self._shift = (-np.asarray(contract.mean, np.float64) / std).astype(np.float32)
        self._channels = (0, 1, 2) if contract.color == "RGB" else (2, 1, 0)

    def batch(self, size: int) -> Batch:
        """An empty batch of `size` rows to `fill`."""
        return np.empty((size, 3, *self._contract.input_size), np.float32)

    def fill(self, row: Batch, pixels: Pixels) -> Placement:
        """Write one photo (h, w, 3) uint8 RGB into `row` (3, height, width), and say where it lies there.

        One pass a channel from interleaved bytes to planar floats: there is no float copy in between.

        Raises:
            ImageError: the array is not an RGB photo of 8 bits.
        """
        require_rgb(pixels)
        placement = place(pixels.shape[:2], self._contract.input_size, self._contract.resize)
        small = resize(pixels, placement, self._contract.resize)
        for plane, channel in enumerate(self._channels):
            np.multiply(small[..., channel], self._factor[plane], out=row[plane], dtype=np.float32, casting="unsafe")
            if self._shift[plane]:
                row[plane] += self._shift[plane]
        return placement

    def __call__(self, photos: Sequence[Pixels]) -> tuple[Batch, list[Placement]]:
        """A whole batch at once."""
        batch = self.batch(len(photos))
        return batch, [self.fill(row, photo) for row, photo in zip(batch, photos, strict=True)]


def require_rgb(pixels: Pixels) -> None:
    """Refuse what is no photo (h, w, 3) uint8, whatever its type says.

    Raises:
        ImageError: it has other axes or another dtype, or no pixels.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ImageError(
            f"The photo is a {pixels.dtype} array of shape {pixels.shape}.",
            "Give (height, width, 3) uint8, RGB; `detrt.images.read_photo` does from a file.",
        )
