"""Pictures by the decoder chip itself."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from detrt.errors import ImageError, MissingExtraError
from detrt.images.gpu.jpeg import EncodedJpeg
from detrt.images.gpu.nvjpeg import NvJpeg
from detrt.images.read import Pixels
from detrt.runtime.gpu import Gpu


def by_the_chip(gpu: Gpu, files: list[bytes]) -> list[Pixels]:
    """The pictures of files, each decoded after the one before, whose data it may find behind its own."""
    stream, decoded = gpu.stream(), list[Pixels]()
    try:
        decoder = NvJpeg(gpu)
    except (ImageError, MissingExtraError) as error:
        pytest.skip(error.problem)
    pinned = gpu.pin(max(map(len, files)))
    with decoder:
        for file in files:
            ctypes.memmove(pinned.pointer, file, len(file))
            (image,) = decoder([EncodedJpeg(pinned.pointer, len(file))], stream.handle)
            assert image is not None
            height, width = image.size
            rows = np.empty((height, image.pitch), np.uint8)
            gpu.copy(rows.ctypes.data, image.pointer, rows.nbytes, stream.handle)
            gpu.synchronize(stream.handle)
            decoded.append(rows[:, : 3 * width].reshape(height, width, 3))
    pinned.close()
    return decoded
