"""Detector: images in, Detections out."""

from __future__ import annotations

import asyncio
import copy
import os
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from detrt.coco_names import COCO_NAMES
from detrt.contract import ModelContract, contract_from_metadata
from detrt.decoding import decode, sizes_to_feed
from detrt.detections import Detections
from detrt.errors import DetrtError, UsageError
from detrt.fit import refuse_misfit
from detrt.images.preprocess import Batch, Preprocessor
from detrt.images.read import Pixels
from detrt.images.resize import Placement
from detrt.images.sources import Item, Photo, PhotoBytes, PhotoPixels
from detrt.runtime.base import Runtime, WithinProfile
from detrt.runtime.open import open_runtime
from detrt.signature import contract_from_signature

if TYPE_CHECKING:
    from detrt.pipeline.instant import InstantPath

Source = Pixels | bytes | str | os.PathLike[str] | Item
"""A photo: decoded (h, w, 3) uint8 RGB, the bytes of its file, or the file's path; or an item of `images.sources`."""


class Detector:
    """A model that takes photos: preprocess, run, decode, all by the model's own contract.

    Examples:
        >>> from detrt import Detector
        >>> with Detector.open("model.onnx") as detector:  # doctest: +SKIP
        ...     found = detector("street.jpg")
    """

    def __init__(self, runtime: Runtime, contract: ModelContract) -> None:
        self.runtime = runtime
        self.contract = contract
        self.preprocessor = Preprocessor(contract)
        self.least_batch, self.most_batch = batches_of(runtime, contract)
        self._instant: InstantPath | None = None
        self._lock = threading.Lock()

    @staticmethod
    def open(
        model: str | os.PathLike[str], *, device: str = "auto", overrides: Mapping[str, Any] | None = None
    ) -> Detector:
        """Load a model with the runtime that its suffix calls for, and its contract.

        Args:
            model: path of an ONNX file or an engine.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            overrides: fields of `ModelContract` to take instead of the model's own or the assumed ones.

        Raises:
            ModelError: see `open_runtime`.
            ContractError: the model's signature is none that detrt can serve.
        """
        runtime = open_runtime(model, device=device)
        try:
            return Detector(runtime, contract_of(runtime, overrides or {}))
        except BaseException:
            runtime.close()
            raise

    def __call__(self, photo: Source) -> Detections:
        """Detections of one photo."""
        return self.detect([photo])[0]

    def detect(self, photos: Sequence[Source]) -> list[Detections]:
        """Detections of several photos of any sizes, run as one batch (or several, where the model takes no more).

        May be called from several threads.

        Raises:
            ImageError: one of them cannot be decoded.
        """
        if not photos:
            return []
        items = [item_of(photo) for photo in photos]
        if hasattr(self.runtime, "session"):
            path = self._instant_path()
            groups = [items[run] for run in self._runs(len(items))]
            parts = [path(group, room=max(self.least_batch, len(group))) for group in groups]
            if None not in parts:
                return [found for part in parts if part for found in part]
        batch, placements = self.preprocessor([item.pixels() for item in items])
        return self.decode(self.infer(batch, placements), placements)

    def stream(
        self,
        photos: Iterable[Source],
        *,
        batch: int = 1,
        on_error: Callable[[str, DetrtError], None] | None = None,
    ) -> Generator[Detections, None, None]:
        """Detections of every photo, in order, at the speed of the slower of decoding and network.

        Args:
            photos: may be endless; taken no further ahead than needed.
            batch: photos a run of the network.
            on_error: told the name of a photo that cannot be decoded, and why; it has no detections then, and the
                stream goes on. Without it, the stream ends with the error.

        Raises:
            DetrtError: the error of the first photo that has one, at its turn.
        """
        from detrt.pipeline import detect_stream

        with closing(detect_stream(self, map(item_of, photos), batch=batch, keep_pixels=False)) as outcomes:
            for outcome in outcomes:
                if outcome.error and not on_error:
                    raise outcome.error
                if outcome.error and on_error:
                    on_error(outcome.item.name, outcome.error)
                yield outcome.detections or Detections.empty()

    async def detections(
        self,
        photos: Iterable[Source],
        *,
        batch: int = 1,
        on_error: Callable[[str, DetrtError], None] | None = None,
    ) -> AsyncGenerator[Detections, None]:
        """`stream` for asyncio: the loop goes on while a thread waits for the next detections.

        Who is cancelled or runs out of time meanwhile hears of it once the photos in hand are done.
        """
        stream = self.stream(photos, batch=batch, on_error=on_error)
        in_stream = threading.Lock()  # a cancelled wait leaves its thread there

        def advance() -> Detections | None:
            with in_stream:
                return next(stream, None)

        def close() -> None:
            with in_stream:
                stream.close()

        try:
            while (found := await asyncio.to_thread(advance)) is not None:
                yield found
        finally:
            await asyncio.to_thread(close)

    def infer(self, batch: Batch, placements: Sequence[Placement]) -> dict[str, Any]:
        """Run the network on a preprocessed batch; the outputs have one row a photo."""
        sizes = sizes_to_feed(placements)
        parts = [self._run(batch[run], sizes[run]) for run in self._runs(len(batch))]
        return (
            parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        )

    def decode(self, outputs: Mapping[str, Any], placements: Sequence[Placement]) -> list[Detections]:
        """Detections from what `infer` returned."""
        return decode(self.contract, outputs, placements)

    def over(self, runtime: Runtime) -> Detector:
        """The same detector over another runtime of the same model."""
        other = copy.copy(self)
        other.runtime, other._instant, other._lock = runtime, None, threading.Lock()
        return other

    def close(self) -> None:
        """Free the model."""
        if self._instant:
            self._instant.close()
        self.runtime.close()

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _instant_path(self) -> InstantPath:
        """The same for all threads, whichever comes first: calls wait for each other there."""
        from detrt.pipeline.instant import InstantPath

        with self._lock:
            self._instant = self._instant or InstantPath(self)
            return self._instant

    def _runs(self, count: int) -> list[slice]:
        """Which of so many photos go through the network together."""
        step = self.most_batch or count
        return [slice(start, start + step) for start in range(0, count, step)]

    def _run(self, batch: Batch, sizes: Any) -> dict[str, Any]:
        count = len(batch)
        if count < self.least_batch:  # repeat a photo and drop its rows
            fill = [0] * (self.least_batch - count)
            batch, sizes = np.concatenate([batch, batch[fill]]), np.concatenate([sizes, sizes[fill]])
        feeds: dict[str, Any] = {self.contract.input_name: batch}
        if self.contract.sizes_name:
            feeds[self.contract.sizes_name] = sizes
        return {name: value[:count] for name, value in self.runtime.run(feeds).items()}


def item_of(photo: Source) -> Item:
    """A photo as an item of a stream.

    Raises:
        UsageError: it is none of what a `Source` may be.
    """
    if isinstance(photo, np.ndarray):
        return PhotoPixels(photo)
    if isinstance(photo, bytes):
        return PhotoBytes(photo)
    if isinstance(photo, (str, os.PathLike)):
        return Photo(Path(photo))
    if not hasattr(photo, "pixels"):
        raise UsageError(
            f"The photo is of the type {type(photo).__name__}.",
            "Give its path, its file's bytes, or (height, width, 3) uint8 RGB: of a Pillow image that is "
            "numpy.asarray(image.convert('RGB')).",
        )
    return photo


def contract_of(runtime: Runtime, overrides: Mapping[str, Any]) -> ModelContract:
    """The contract that travels with the model, else the one inferred from its signature; then the overrides.

    Raises:
        ContractError: there is none, or it does not fit the model's tensors.
    """
    contract = contract_from_metadata(runtime.metadata) or contract_from_signature(
        runtime.inputs, runtime.outputs, size=overrides.get("input_size"), class_names=COCO_NAMES
    )
    contract = contract.replaced(**overrides)
    refuse_misfit(contract, runtime.inputs, runtime.outputs)
    return contract


def batches_of(runtime: Runtime, contract: ModelContract) -> tuple[int, int | None]:
    """The least and the greatest number of photos that a run takes; None where there is no greatest."""
    if isinstance(runtime, WithinProfile):
        least, _, greatest = runtime.profile[contract.input_name]
        return least[0], greatest[0]
    images = next(spec for spec in runtime.inputs if spec.name == contract.input_name)
    return images.shape[0] or 1, images.shape[0]
