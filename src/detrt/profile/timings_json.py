"""The JSON that trtexec writes about time: of each layer, of each run, and what machine it was."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LayerTime:
    """Microseconds that a layer took, over many runs."""

    mean: float
    median: float


@dataclass(frozen=True)
class Latency:
    """Milliseconds on the device from input to output, over `runs` runs of the whole engine."""

    median: float
    least: float
    most: float
    runs: int


def layer_times_from_json(content: Sequence[Any]) -> tuple[int, list[tuple[str, LayerTime]]]:
    """How many runs were profiled, and name and time of each layer, in order (`trtexec --exportProfile`)."""
    runs = next((int(entry["count"]) for entry in content if "count" in entry), 0)
    return runs, [
        (str(entry["name"]), LayerTime(1e3 * entry["averageMs"], 1e3 * entry.get("medianMs", entry["averageMs"])))
        for entry in content
        if "averageMs" in entry
    ]


def latency_from_json(content: Sequence[Mapping[str, float]]) -> Latency:
    """From the times of each run (`trtexec --exportTimes`)."""
    runs = [float(entry["computeMs"]) for entry in content]
    return Latency(statistics.median(runs), min(runs), max(runs), len(runs))


def is_layer_times(content: object) -> bool:
    """Whether this is the profile of layers."""
    return any("averageMs" in entry for entry in _entries(content))


def is_run_times(content: object) -> bool:
    """Whether these are the times of runs."""
    return any("computeMs" in entry for entry in _entries(content)[:1])


def device_from_json(content: object) -> str:
    """The GPU's name in trtexec's metadata; empty where it is not there."""
    about = content.get("device_information") if isinstance(content, Mapping) else None
    return str(about.get("Selected Device", "")) if isinstance(about, Mapping) else ""


def _entries(content: object) -> list[Mapping[str, Any]]:
    if not isinstance(content, list) or not all(isinstance(entry, Mapping) for entry in content):
        return []
    return content
