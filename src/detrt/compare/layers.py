"""Walk through two models from input to output, and name the tensor at which they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detrt.compare.drift import Drift, DriftSums, channel_axis_of, matched_rows
from detrt.compare.tensors import AT_ONCE, OnnxTensors, TensorSource, require_common
from detrt.progress import Progress, silent
from detrt.runtime.base import Array

LIMIT = 0.05
"""Root mean square of the difference, in standard deviations of the tensor, from which on a tensor drifts."""

JUMP = 2.0
"""A tensor is where drift begins if it drifts this many times as much as what it is computed from."""


@dataclass(frozen=True)
class TensorDrift:
    """One tensor's drift, and the largest drift of the tensors that it is computed from."""

    name: str
    drift: Drift
    inherited: float

    @property
    def own(self) -> float:
        """What is added here."""
        return max(0.0, self.drift.size - self.inherited)

    @property
    def begins_here(self) -> bool:
        """Whether the tensor drifts, and more than what it is made from explains."""
        return self.drift.size > LIMIT and self.drift.size >= JUMP * self.inherited


@dataclass(frozen=True)
class LayerComparison:
    """The tensors that both models have, from input to output."""

    tensors: tuple[TensorDrift, ...]

    @property
    def first(self) -> TensorDrift | None:
        """The first tensor at which drift begins; where it only grows bit by bit, the first beyond the limit."""
        begins = (tensor for tensor in self.tensors if tensor.begins_here)
        beyond = (tensor for tensor in self.tensors if tensor.drift.size > LIMIT)
        return next(begins, None) or next(beyond, None)

    def worst(self, count: int) -> list[TensorDrift]:
        """The tensors that add most drift of their own."""
        return sorted(self.tensors, key=lambda tensor: -tensor.own)[:count]


def compare_layers(
    first: OnnxTensors,
    second: TensorSource,
    feeds: Sequence[tuple[Mapping[str, Array], Mapping[str, Array]]],
    *,
    progress: Progress = silent,
) -> LayerComparison:
    """Compare every float tensor that both have, over several photos.

    Behind the top-k that selects queries, rows are matched before they are compared: two right runtimes order them
    differently. What follows a further top-k is left to the comparison of detections.

    Args:
        first: the reference, whose graph gives the order.
        second: the one that is judged.
        feeds: the inputs of both for each photo, at batch 1.
        progress: told of every chunk of tensors and photo.

    Raises:
        GraphError: the models have no tensor in common.
    """
    names = second.those_of(first.order)
    require_common(names)
    sums: dict[str, DriftSums] = {}
    chunks = [names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE)]
    for number, chunk in enumerate(chunks):
        for photo, (feed_first, feed_second) in enumerate(feeds):
            mine, theirs = first.read(feed_first, chunk), second.read(feed_second, chunk)
            for name in chunk:
                if name in mine and name in theirs and _squeezed(mine[name]) == _squeezed(theirs[name]):
                    one, other = mine[name], theirs[name].reshape(mine[name].shape)
                    sums.setdefault(name, DriftSums(channel_axis_of(one.ndim)))
                    if name in first.after_selection:
                        one, other = matched_rows(one, other, first.rows)
                    sums[name].add(one, other)
            progress("tensors", number * len(feeds) + photo + 1, len(chunks) * len(feeds))
    return LayerComparison(_with_inheritance(first, {name: total.result() for name, total in sums.items()}))


def _squeezed(tensor: Array) -> tuple[int, ...]:
    """The shape without axes of one: builders drop and add these."""
    return tuple(axis for axis in tensor.shape if axis != 1)


def _with_inheritance(source: OnnxTensors, drifts: Mapping[str, Drift]) -> tuple[TensorDrift, ...]:
    """Add to each tensor what its nearest compared ancestors drift by."""
    carried: dict[str, float] = {}
    found = []
    for name in source.order:
        inherited = max((carried.get(parent, 0.0) for parent in source.parents[name]), default=0.0)
        if name in drifts:
            found.append(TensorDrift(name, drifts[name], inherited))
            carried[name] = drifts[name].size
        else:
            carried[name] = inherited
    return tuple(found)
