"""What an evaluation has computed so far, on disk from the first photo on, so that an interrupt loses nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

import orjson

from detrt.detections import Detections
from detrt.files import naming
from detrt.settings import cache_dir


def journal_of(model_hash: str, annotations: Path, images: Path) -> Path:
    """Where the evaluation of a model on a set keeps what it has computed."""
    what = f"{model_hash}|{annotations.resolve()}|{images.resolve()}"
    return cache_dir() / "eval" / f"{hashlib.sha256(what.encode()).hexdigest()[:20]}.jsonl"


class Journal:
    """Detections by image id, a line a photo, behind a line that says what they are of.

    The floats are written as the shortest text that reads back as the same float32.
    """

    def __init__(self, path: Path, key: str, *, resume: bool) -> None:
        """Open the journal at `path`; earlier lines count where `resume` is set and their key is this `key`."""
        self.path = path
        self.found: dict[int, Detections] = dict(_read(path, key)) if resume else {}
        self.resumed = len(self.found)
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = list(self.found.items())
        self._file: IO[bytes] = path.open("wb")  # written anew: a cut-off last line must not stay in the middle
        self._file.write(orjson.dumps({"key": key}) + b"\n")
        for image_id, detections in kept:
            self._write(image_id, detections)
        self._file.flush()

    def add(self, image_id: int, detections: Detections) -> None:
        """Keep the detections of one photo."""
        self.found[image_id] = detections
        with naming(self.path):
            self._write(image_id, detections)
            self._file.flush()

    def discard(self) -> None:
        """The work is done: remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with naming(self.path):
            self._file.close()

    def _write(self, image_id: int, detections: Detections) -> None:
        row = {
            "image_id": image_id,
            "boxes": detections.boxes,
            "scores": detections.scores,
            "labels": detections.labels,
        }
        self._file.write(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")


def _read(path: Path, key: str) -> Iterator[tuple[int, Detections]]:
    """The whole lines of a journal of the same key; nothing where there is none."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return
    for number, line in enumerate(lines):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            return  # the line that the interrupt cut off
        if number == 0:
            if row.get("key") != key:
                return
            continue
        yield row["image_id"], Detections.of(row["boxes"], row["scores"], row["labels"])
