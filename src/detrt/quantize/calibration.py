"""Calibration photos as network inputs: which of them, one at a time, and those that cannot be read by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from detrt.contract import ModelContract
from detrt.decoding import sizes_to_feed
from detrt.errors import ImageError, UsageError
from detrt.files import stamp_of
from detrt.images.preprocess import Preprocessor
from detrt.images.read import read_photo
from detrt.images.resize import Placement
from detrt.images.sources import find_files, is_video

Array = npt.NDArray[Any]
Skipped = Callable[[ImageError], None]


def _ignore(error: ImageError) -> None:
    """Skip in silence."""


@dataclass(frozen=True)
class PreparedPhoto:
    """A photo as the network takes it, turned about its vertical axis or not."""

    path: Path
    feeds: Mapping[str, Array]
    placement: Placement
    mirrored: bool = False


@dataclass
class CalibrationSet:
    """Photos for calibration; iterating reads, resizes and yields them one at a time.

    Attributes:
        paths: the photos, in their order.
        contract: how the model wants them.
        choice: how they were picked, for the record.
        skipped: called with the error of a photo that cannot be read, once a photo; the photo is left out.
        bad: those that could not be read so far.
        limit: how many that can be read are enough; all of them where it is None.
        mirrored: whether each is turned about its vertical axis.
    """

    paths: tuple[Path, ...]
    contract: ModelContract
    choice: str
    skipped: Skipped = _ignore
    bad: set[Path] = field(default_factory=set)
    limit: int | None = None
    mirrored: bool = False

    def __iter__(self) -> Iterator[PreparedPhoto]:
        """Prepare each photo in turn.

        Raises:
            ImageError: none of them can be read.
        """
        preprocess = Preprocessor(self.contract)
        good = 0
        for path in self.paths:
            if good == self.limit:
                return
            try:
                pixels = read_photo(path)
                batch, placements = preprocess([np.ascontiguousarray(pixels[:, ::-1]) if self.mirrored else pixels])
            except ImageError as error:
                if path not in self.bad:
                    self.bad.add(path)
                    self.skipped(error)
                continue
            good += 1
            feeds: dict[str, Array] = {self.contract.input_name: batch}
            if self.contract.sizes_name:
                feeds[self.contract.sizes_name] = sizes_to_feed(placements)
            yield PreparedPhoto(path, feeds, placements[0], self.mirrored)
        if not good:
            raise ImageError(
                f"None of the {len(self.paths)} calibration photos can be read.", "Give a folder of whole photos."
            )

    def __len__(self) -> int:
        good = len(self.paths) - len(self.bad)
        return good if self.limit is None else min(good, self.limit)

    def first(self, count: int) -> CalibrationSet:
        """The first `count` photos that can be read."""
        return replace(self, limit=count)

    def mirror(self) -> CalibrationSet:
        """The same photos, turned about their vertical axis."""
        return replace(self, mirrored=not self.mirrored)

    def fingerprint(self) -> str:
        """Identifies the photos (name, size, time of change), how they are prepared and what is read of the outputs."""
        told = self.contract.replaced(class_names=(), family="", variant="", source_sha256="")
        digest = hashlib.sha256(repr(replace(told, assumed=())).encode())
        for path in self.paths:
            digest.update(stamp_of(path).encode())
        return digest.hexdigest()


def calibration_set(
    sources: Sequence[str],
    contract: ModelContract,
    *,
    limit: int = 256,
    seed: int = 0,
    skipped: Skipped = _ignore,
) -> CalibrationSet:
    """Pick photos from folders, globs and files.

    Where there are more than `limit`, a random sample is taken, and in any case a random order: any first photos are
    then as good a sample as any other. Both are the same for the same seed and file names.

    Raises:
        ImageError: a source does not exist or holds no image.
        UsageError: there are only videos.
    """
    files = find_files(sources)
    photos = [file for file in files if not is_video(file)]
    if not photos:
        raise UsageError(
            f"There are only videos in {', '.join(sources)}.",
            "Calibrate on photos; take frames out of a video first.",
        )
    order = np.random.default_rng(seed).permutation(len(photos))[:limit]
    choice = f"{len(order)} of {len(photos)} photos, random with seed {seed}"
    return CalibrationSet(tuple(photos[number] for number in order), contract, choice, skipped)
