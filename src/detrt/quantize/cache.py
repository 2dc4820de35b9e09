"""What calibration saw, kept on disk by model, photos and preprocessing."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from detrt.files import whole
from detrt.quantize.histogram import BINS, Histogram
from detrt.quantize.observers import Observation
from detrt.settings import cache_dir

Array = npt.NDArray[Any]

FORMAT = 5
"""Raised when an old file would be misread, or when the same settings have come to mean other numbers."""


def cache_key(*parts: str) -> str:
    """One name for everything that a cached result depends on."""
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:24]


def cache_folder(key: str) -> Path:
    """Where everything about one model, set of photos and preprocessing is kept."""
    return cache_dir() / "quantize" / key


def save_observation(path: Path, observed: Observation) -> None:
    """Write it whole: histograms without their empty bins, samples as they are."""
    arrays: dict[str, Array] = {"head": np.array([FORMAT, observed.photos])}
    for name, histogram in observed.histograms.items():
        filled = np.flatnonzero(histogram.counts)
        arrays[f"bins|{name}"] = np.stack([filled, histogram.counts[filled]])
        arrays[f"largest|{name}"] = np.array(histogram.largest)
    arrays |= {f"tokens|{name}": value for name, value in observed.token_maxima.items()}
    arrays |= {f"samples|{name}": value for name, value in observed.samples.items()}
    with whole(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **{name.replace("/", "\\"): array for name, array in arrays.items()})


def load_observation(path: Path) -> Observation | None:
    """Read it back; None where there is none, or one of another version or cut off."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name.replace("\\", "/"): file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):
        return None
    form, *rest = arrays.pop("head").tolist()
    if form != FORMAT:
        return None
    found: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        kind, _, tensor = name.partition("|")
        found.setdefault(kind, {})[tensor] = array
    histograms = {}
    for name, (filled, counts) in found.get("bins", {}).items():
        histograms[name] = Histogram(np.zeros(BINS, np.int64), float(found["largest"][name]))
        histograms[name].counts[filled] = counts
    return Observation(rest[0], histograms, found.get("tokens", {}), found.get("samples", {}))
