"""Digests of what steps depend on outside the output folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from detrt.errors import DetrtError
from detrt.evaluate import CocoDataset
from detrt.files import sha256_of
from detrt.images.sources import find_files
from detrt.workflow.step import Digest


def digest_of(value: Any) -> str:
    """Hash of anything that is told by its JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def digest_of_photos(sources: Sequence[str]) -> tuple[Digest, DetrtError | None]:
    """Names and sizes of the photos in folders and globs; or None, and what is wrong, where there are none."""
    try:
        return digest_of_files(find_files(sources)), None
    except DetrtError as error:
        return None, error


def digest_of_dataset(dataset: CocoDataset, annotations: Path) -> str:
    """The boxes by content, and the photos by name and size."""
    return digest_of([sha256_of(annotations), digest_of_files(photo.path for photo in dataset.photos)])


def digest_of_files(files: Iterable[Path]) -> str:
    """Names and sizes."""
    return digest_of([(file.name, file.stat().st_size) for file in files])
