"""An engine's layers with their times, and what follows from both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from detrt.profile.groups import GROUPS, group_of
from detrt.profile.layers import Layer
from detrt.profile.timings_json import Latency, LayerTime


@dataclass(frozen=True)
class Share:
    """What one group or one precision takes: microseconds, their part of the sum in percent, and layers."""

    name: str
    time: float
    percent: float
    layers: int


@dataclass(frozen=True)
class EngineProfile:
    """An engine and where its time goes.

    The times of layers add up to more than the engine's latency (1.8 times as much is usual): a profiled run waits
    after each layer, where an ordinary one overlaps streams and hides launches. Shares tell where to look, not what
    there is to win.

    Attributes:
        name: of the engine, for people.
        layers: in the order in which they run.
        times: of each layer; empty where the engine was inspected and not timed.
        latency: of the whole engine; None where it was not timed.
        runs: how many were profiled.
        device: name of the GPU; empty where it is unknown.
    """

    name: str
    layers: tuple[Layer, ...]
    times: tuple[LayerTime, ...] = ()
    latency: Latency | None = None
    runs: int = 0
    device: str = ""

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The part of the detector of each layer."""
        return tuple(group_of(layer) for layer in self.layers)

    @cached_property
    def mean(self) -> tuple[float, ...]:
        """Microseconds of each layer; zeros where nothing was timed."""
        return tuple(time.mean for time in self.times) if self.times else (0.0,) * len(self.layers)

    @property
    def total(self) -> float:
        """Microseconds of all layers, one after the other."""
        return sum(self.mean)

    @property
    def by_group(self) -> list[Share]:
        """Each part of the detector, in the order of the data."""
        return [share for name in GROUPS for share in self._shares(self.groups) if share.name == name]

    @property
    def by_precision(self) -> list[Share]:
        """Each precision, largest first; layers that only order streams are left out."""
        return self._shares([layer.precision if layer.work != "sync" else "" for layer in self.layers])

    @property
    def by_kind(self) -> list[Share]:
        """Each kind of layer, largest first."""
        return self._shares([layer.kind for layer in self.layers])

    @property
    def reformats(self) -> Share:
        """All layers that only move or convert."""
        return self._share("reformats", [layer.work == "reformat" for layer in self.layers])

    @property
    def quantizers(self) -> Share:
        """Those of the reformats that quantise."""
        return self._share("quantise", [layer.is_quantizer for layer in self.layers])

    def top(self, count: int) -> list[int]:
        """Numbers of the layers that take longest."""
        return sorted(range(len(self.layers)), key=lambda number: -self.mean[number])[:count]

    def percent(self, time: float) -> float:
        """A time's part of the sum."""
        return 100 * time / self.total if self.total else 0.0

    def _shares(self, names: Sequence[str]) -> list[Share]:
        times, counts = Counter[str](), Counter(names)
        for name, time in zip(names, self.mean, strict=True):
            times[name] += time  # type: ignore[assignment]  # counters count anything that adds up
        return [
            Share(name, float(time), self.percent(float(time)), counts[name])
            for name, time in sorted(times.items(), key=lambda item: -item[1])
            if name
        ]

    def _share(self, name: str, chosen: Sequence[bool]) -> Share:
        time = sum(time for time, is_chosen in zip(self.mean, chosen, strict=True) if is_chosen)
        return Share(name, time, self.percent(time), sum(chosen))
