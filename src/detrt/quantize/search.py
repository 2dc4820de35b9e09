"""The most that can be quantised for an allowed loss.

Parts are left out in the order of what they cost alone by what they save, as many as it
takes, found by bisection; then those that turn out to have cost nothing come back. Every decision follows from
measured numbers on the same photos, so a second run finds the same, and the clock can only end the last step early.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from detrt.progress import Progress, silent
from detrt.quantize.measure import Losses
from detrt.quantize.sensitivity import PartLoss

AGAIN = 12
"""How many of the parts left out are tried once more, largest first; the others save next to nothing."""


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
    whole_photos: int = 128
    seconds: float = math.inf


def search(
    losses: Losses, alone: Sequence[PartLoss], allowed: float, effort: Effort, *, progress: Progress = silent
) -> Found:
    """Find what to leave float so that the rest loses no more than `allowed` points of agreement.

    Where even nothing quantised is what remains, the result is empty rather than wrong.

    Args:
        losses: measures candidates.
        alone: what each part costs alone; see `sensitivity.measure_parts`.
        allowed: points of agreement (0..100).
        effort: how much to measure.
        progress: told of every candidate.
    """
    ends = time.monotonic() + effort.seconds
    everything = frozenset[str]().union(*(found.part.keys for found in alone))
    order = sorted(alone, key=lambda found: (-_cost(found), found.part.name))
    steps = math.ceil(math.log2(len(order) + 1)) + 1

    def loss_without(count: int) -> float:
        kept = everything - frozenset[str]().union(*(found.part.keys for found in order[:count]))
        return losses.of(kept, effort.whole_photos).points if kept else 0.0

    low, high, tried = 0, len(order), 0
    while low < high:
        middle = 0 if not tried else (low + high) // 2  # everything first: often that is the answer
        tried += 1
        progress("Searching", tried, steps)
        if loss_without(middle) <= allowed:
            high = middle
        else:
            low = middle + 1
    out = list(order[:high])
    kept = everything - frozenset[str]().union(*(found.part.keys for found in out))
    complete = True
    again = sorted(out, key=lambda one: (-one.part.macs, one.part.name))[:AGAIN]
    for number, found in enumerate(again, start=1):
        if time.monotonic() > ends:
            complete = False
            break
        if losses.of(kept | found.part.keys, effort.whole_photos).points <= allowed:
            kept |= found.part.keys
            out.remove(found)
        progress("Trying again what was left out", number, len(again))
    loss = losses.of(kept, effort.whole_photos).points if kept else 0.0
    return Found(kept, tuple(out), loss, tuple(alone), complete, losses.measured)


def _cost(found: PartLoss) -> float:
    """Change for what is saved; a part without any multiplication to save is never worth a change."""
    return found.loss.change / max(found.part.macs, 1)
