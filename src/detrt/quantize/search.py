"""The most that can be quantised for an allowed loss.

Parts are left out in the order of what they cost alone by what they save, as many as it takes, found by bisection. Then
they come back: the quietest, as many at once as fit, since a part that hardly multiplies is left out early however
little it costs; and the largest one by one. Every decision follows from measured numbers on the same photos, so a
second run finds the same, and the clock can only end the last step early.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from detrt.progress import Progress, silent
from detrt.quantize.measure import Losses
from detrt.quantize.sensitivity import PartLoss

AGAIN = 16
"""How many of the parts left out are tried once more alone, largest first; the others save next to nothing."""


@dataclass(frozen=True)
class Found:
    """What a search ends with.

    Attributes:
        keys: the products to quantise.
        left_out: the parts that stay float, costliest first, with what each lost alone.
        loss: of the whole, in points of agreement.
        parts: what each part lost alone.
        complete: False where time ran out before every part that was left out had been tried again.
        candidates: models that were run.
    """

    keys: frozenset[str]
    left_out: tuple[PartLoss, ...]
    loss: float
    parts: tuple[PartLoss, ...]
    complete: bool
    candidates: int


@dataclass(frozen=True)
class Effort:
    """How much to measure: photos a part alone, photos a whole candidate, and seconds after which no more is tried."""

    part_photos: int = 16
    whole_photos: int = 256
    seconds: float = math.inf


def search(
    losses: Losses, alone: Sequence[PartLoss], allowed: float, effort: Effort, *, progress: Progress = silent
) -> Found:
    """Find what to leave float so that the rest loses no more than `allowed` points of agreement on other photos.

    What is held to it is the upper bound of the loss, not what these photos happen to show; see `Loss.bound`.

    Where even nothing quantised is what remains, the result is empty rather than wrong.

    Args:
        losses: measures candidates.
        alone: what each part costs alone; see `sensitivity.measure_parts`.
        allowed: points of agreement (0..100).
        effort: how much to measure.
        progress: told of every candidate.
    """
    ends = time.monotonic() + effort.seconds
    everything = _keys(alone)
    order = sorted(alone, key=lambda found: (-_cost(found), found.part.name))

    def fits(kept: frozenset[str]) -> bool:
        return not kept or losses.of(kept, effort.whole_photos, sure_up_to=allowed).bound <= allowed

    def least(most: int, kept_at: Callable[[int], frozenset[str]], stage: str) -> int:
        """The least count at which what is kept fits; `most` without asking."""
        low, high, tried = 0, most, 0
        while low < high:
            middle = 0 if not tried else (low + high) // 2  # nothing left out first: often that is the answer
            tried += 1
            progress(stage, tried, math.ceil(math.log2(most + 1)) + 1)
            low, high = (low, middle) if fits(kept_at(middle)) else (middle + 1, high)
        return high

    count = least(len(order), lambda count: everything - _keys(order[:count]), "Searching")
    out = sorted(order[:count], key=lambda found: (-found.loss.change, found.part.name))
    out = out[: least(len(out), lambda count: everything - _keys(out[:count]), "Taking back the quietest")]
    kept = everything - _keys(out)
    complete = True
    again = sorted(out, key=lambda one: (-one.part.macs, one.part.name))[:AGAIN]
    for number, found in enumerate(again, start=1):
        if time.monotonic() > ends:
            complete = False
            break
        if fits(kept | found.part.keys):
            kept |= found.part.keys
            out.remove(found)
        progress("Trying again what was left out", number, len(again))
    loss = losses.of(kept, effort.whole_photos).points if kept else 0.0
    return Found(kept, tuple(out), loss, tuple(alone), complete, losses.measured)


def _keys(parts: Sequence[PartLoss]) -> frozenset[str]:
    return frozenset[str]().union(*(found.part.keys for found in parts))


def _cost(found: PartLoss) -> float:
    """Change for what is saved; a part without any multiplication to save is never worth a change."""
    return found.loss.change / max(found.part.macs, 1)
