"""Ranges of a model's tensors on a folder of photos, prepared as its contract says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx

from detrt.decoding import sizes_to_feed
from detrt.detector import contract_of
from detrt.engine.fingerprint import calibration_photos
from detrt.graph.ranges import Narrow, Ranges, measure_ranges
from detrt.images.preprocess import Preprocessor
from detrt.images.read import read_photo
from detrt.progress import Progress, silent
from detrt.runtime.base import Array
from detrt.runtime.onnxruntime import OnnxRuntime

MOST_PHOTOS = 32
"""Ranges hardly grow after a dozen; the rest is margin, at a third of a second a photo."""


def ranges_from_photos(
    model: onnx.ModelProto, folder: Path, narrow: Narrow, *, most: int = MOST_PHOTOS, progress: Progress = silent
) -> Ranges:
    """Measure on up to `most` photos, spread evenly over the folder.

    Raises:
        UsageError: the folder holds no photos.
        ContractError: the model's signature does not say how photos are fed.
        ImageError: a photo cannot be read.
    """
    photos = calibration_photos(folder)
    chosen = [photos[i] for i in np.linspace(0, len(photos) - 1, min(most, len(photos)), dtype=int)] if photos else []
    return measure_ranges(model, _Feeds(model, chosen), narrow=narrow, progress=progress)


class _Feeds(Sequence[Mapping[str, Array]]):
    """The network's inputs, photo by photo, or as many at once as the model fixes; none is held longer than it is used.

    The last photo repeats to fill the last batch.
    """

    def __init__(self, model: onnx.ModelProto, photos: Sequence[Path]) -> None:
        with OnnxRuntime(model.SerializeToString(), device="cpu") as runtime:
            self._contract = contract_of(runtime, {})
            images = next(spec for spec in runtime.inputs if spec.name == self._contract.input_name)
            self._batch = images.shape[0] or 1
        self._preprocessor = Preprocessor(self._contract)
        self._photos = photos

    def __len__(self) -> int:
        return -(-len(self._photos) // self._batch)

    def __iter__(self) -> Iterator[Mapping[str, Array]]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Mapping[str, Array]:  # type: ignore[override]
        places = range(index * self._batch, (index + 1) * self._batch)
        chosen = [self._photos[min(place, len(self._photos) - 1)] for place in places]
        batch, placements = self._preprocessor([read_photo(photo) for photo in chosen])
        feeds: dict[str, Array] = {self._contract.input_name: batch}
        if self._contract.sizes_name:
            feeds[self._contract.sizes_name] = sizes_to_feed(placements)
        return feeds
