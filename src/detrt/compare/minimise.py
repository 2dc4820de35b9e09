"""The smallest set that still passes, by delta debugging (Zeller and Hildebrandt, 2002: the algorithm ddmin)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

Passes = Callable[[tuple[str, ...]], bool]


def minimise(items: Sequence[str], passes: Passes) -> tuple[str, ...]:
    """A subset that passes and of which no item can be left out; `items` itself is known to pass.

    Neighbours are tried together, so give them in an order in which they belong together.
    """
    kept, pieces = tuple(items), 2
    while len(kept) > 1:
        parts = _split(kept, pieces)
        smaller = next((part for part in parts if passes(part)), None)
        if smaller is not None:
            kept, pieces = smaller, 2
            continue
        rest = None
        if pieces > 2:  # of two halves, one is what the other leaves
            rests = (tuple(item for item in kept if item not in part) for part in parts)
            rest = next((each for each in rests if passes(each)), None)
        if rest is not None:
            kept, pieces = rest, max(pieces - 1, 2)
        elif pieces < len(kept):
            pieces = min(2 * pieces, len(kept))
        else:
            break
    return kept


def shortest_prefix(items: Sequence[str], passes: Passes) -> tuple[str, ...]:
    """The shortest beginning of `items` that passes, if every longer one does too; `items` is known to pass."""
    low, high = 0, len(items)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(tuple(items[:middle])) else (middle, high)
    return tuple(items[:high])


def _split(items: tuple[str, ...], pieces: int) -> list[tuple[str, ...]]:
    bounds = [round(index * len(items) / pieces) for index in range(pieces + 1)]
    return [items[start:end] for start, end in pairwise(bounds) if end > start]
