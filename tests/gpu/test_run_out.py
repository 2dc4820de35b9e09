"""The decoder chip itself, given files whose data end early."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from detrt.errors import ImageError, MissingExtraError
from detrt.images.gpu.jpeg import EncodedJpeg
from detrt.images.gpu.nvjpeg import NvJpeg
from detrt.images.read import Pixels, decode_jpeg
from detrt.runtime.gpu import Gpu
from tests.images.test_run_out import KINDS, cuts, ends_flat, jpeg, photo, trusted


@pytest.mark.parametrize("kind", KINDS)
def test_the_chip_comes_to_rest_where_data_end_early_and_changes_no_whole_photo(
    gpu: Gpu, kind: dict[str, object]
) -> None:
    whole = [jpeg(photo(seed, 480, 640), **kind) for seed in range(6)]  # type: ignore[arg-type]
    damaged = [cut for seed, file in enumerate(whole) for cut in cuts(file, 10, seed)]
    decoded = by_the_chip(gpu, [given for file in whole + damaged if (given := trusted(file))])
    assert len(decoded) == len(whole + damaged)
    for file, pixels in zip(whole, decoded, strict=False):
        assert np.abs(pixels.astype(int) - decode_jpeg(file)).max() <= 2  # as without a run-out
    assert np.mean([ends_flat(pixels) for pixels in decoded[len(whole) :]]) >= 0.95


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
