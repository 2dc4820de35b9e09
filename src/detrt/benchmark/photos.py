"""The inputs of a benchmark: photos of a folder, or made ones, and the tensors that a model makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from simplejpeg import encode_jpeg

from detrt.contract import ModelContract
from detrt.decoding import sizes_to_feed
from detrt.images.preprocess import Preprocessor
from detrt.images.read import Pixels, read_bytes, read_photo
from detrt.images.sources import find_files, is_video
from detrt.runtime.base import Array

MOST = 64
_MADE = 8
_TOTAL_BYTES = 64 << 20  # of all input sets together: more than the L2 cache of any GPU that detrt knows (50 MB)


def photos_from(folder: Path | None) -> list[Pixels]:
    """Up to 64 photos of a folder, spread over it; without a folder, eight made of smooth noise, always the same.

    Raises:
        ImageError: the folder is not there, or holds no photo that can be read.
    """
    if folder is None:
        return [made_photo(seed) for seed in range(_MADE)]
    return [read_photo(file) for file in _chosen(folder)]


def files_from(folder: Path | None) -> list[bytes]:
    """The same photos as files in memory; the made ones as JPEGs.

    Raises:
        ImageError: see `photos_from`.
    """
    if folder is None:
        return [encode_jpeg(made_photo(seed), quality=90) for seed in range(_MADE)]
    return [read_bytes(file) for file in _chosen(folder)]


def _chosen(folder: Path) -> list[Path]:
    files = [file for file in find_files([str(folder)]) if not is_video(file)]
    return [files[i] for i in np.linspace(0, len(files) - 1, min(MOST, len(files)), dtype=int)] if files else []


def made_photo(seed: int, size: tuple[int, int] = (480, 640)) -> Pixels:
    """A photo of soft blobs, (h, w, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (size[0] // 32, size[1] // 32, 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(32, axis=0).repeat(32, axis=1))


def batches(photos: Sequence[Pixels], batch: int, count: int) -> list[list[Pixels]]:
    """`count` batches, taking the photos in turn and starting again where they end."""
    endless = cycle(photos)
    return [list(islice(endless, batch)) for _ in range(count)]


def input_sets(contract: ModelContract, photos: Sequence[Pixels], batch: int) -> list[Mapping[str, Array]]:
    """Network inputs for successive runs, together larger than a cache; 2 to 16 of them."""
    height, width = contract.input_size
    count = min(max(-(-_TOTAL_BYTES // (batch * 3 * height * width * 4)), 2), 16)
    preprocessor = Preprocessor(contract)
    sets: list[Mapping[str, Array]] = []
    for chosen in batches(photos, batch, count):
        images, placements = preprocessor(chosen)
        sizes = {contract.sizes_name: sizes_to_feed(placements)} if contract.sizes_name else {}
        sets.append({contract.input_name: images} | sizes)
    return sets
