"""Two profiles side by side: which parts got faster, and which layers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from detrt.profile.groups import GROUPS
from detrt.profile.labels import label_of
from detrt.profile.profile import EngineProfile


@dataclass(frozen=True)
class Change:
    """Microseconds of one thing before and after; None where it is only in the other engine."""

    name: str
    before: float | None
    after: float | None

    @property
    def delta(self) -> float:
        """What it costs more."""
        return (self.after or 0.0) - (self.before or 0.0)


@dataclass(frozen=True)
class Difference:
    """What differs between two engines.

    Attributes:
        before, after: the engines.
        groups: each part of the detector, in the order of the data.
        layers: what the engines do, largest change first. Engines fuse differently, so layers are matched by the ONNX
            nodes that they do; nodes that one engine fuses and the other does not are matched as a whole.
    """

    before: EngineProfile
    after: EngineProfile
    groups: tuple[Change, ...]
    layers: tuple[Change, ...]


def difference(before: EngineProfile, after: EngineProfile) -> Difference:
    """Compare two engines of one model."""
    old = {share.name: share.time for share in before.by_group}
    new = {share.name: share.time for share in after.by_group}
    groups = tuple(Change(name, old.get(name), new.get(name)) for name in GROUPS if name in old or name in new)
    layers = sorted(_matched(before, after), key=lambda change: -abs(change.delta))
    return Difference(before, after, groups, tuple(layers))


def _matched(before: EngineProfile, after: EngineProfile) -> list[Change]:
    """Merge the layers of both engines wherever they share an ONNX node, and compare the merged ones."""
    merged = _Merged()
    for engine, profile in enumerate((before, after)):
        for number, layer in enumerate(profile.layers):
            # Q/DQ nodes stand in the metadata of every layer that touches a scale, and would merge half the engine
            for source in (
                source for source in layer.sources if "quantizer" not in source and "Quantize" not in source
            ):
                merged.join(("node", source), (engine, number))
    sums: dict[object, list[float | None]] = defaultdict(lambda: [None, None])
    names: dict[object, tuple[float, str]] = {}
    for engine, profile in enumerate((before, after)):
        for number, layer in enumerate(profile.layers):
            if layer.work == "sync":
                continue
            root, time = merged.root((engine, number)), profile.mean[number]
            if not layer.sources:
                root = label_of(layer)
            sums[root][engine] = (sums[root][engine] or 0.0) + time
            if time >= names.get(root, (-1.0, ""))[0]:
                names[root] = (time, label_of(layer))
    return [Change(names[root][1], old, new) for root, (old, new) in sums.items()]


class _Merged:
    """Disjoint sets."""

    def __init__(self) -> None:
        self._parents: dict[object, object] = {}

    def root(self, item: object) -> object:
        while (parent := self._parents.setdefault(item, item)) != item:
            self._parents[item] = item = self._parents[parent]
        return item

    def join(self, one: object, other: object) -> None:
        self._parents[self.root(one)] = self.root(other)
