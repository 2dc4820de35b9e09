"""How the magnitudes of a tensor are spread, gathered over any number of photos in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

_DROPPED_BITS = 16
BINS = 0x7F80  # the float32 exponents below infinity's, with seven bits of mantissa each
_EDGES = (np.arange(BINS + 1, dtype=np.uint32) << _DROPPED_BITS).view(np.float32).astype(np.float64)
_EDGES[-1] = float(np.finfo(np.float32).max)
LOW, HIGH = _EDGES[:-1], _EDGES[1:]
CENTERS: Doubles = (LOW + HIGH) / 2


@dataclass
class Histogram:
    """Counts of |x| in bins that are 1/128 of an octave's start wide.

    The bin of a float32 is its upper sixteen bits without the sign. So nothing has to be known of the range before,
    photos are counted as they come, and two histograms of different photos add up.

    Attributes:
        counts: by bin.
        largest: the exact largest magnitude.
        non_finite: how many values were NaN or infinite; they are in no bin.
    """

    counts: Counts = field(default_factory=lambda: np.zeros(BINS, np.int64))
    largest: float = 0.0
    non_finite: int = 0

    def add(self, values: npt.NDArray[Any]) -> None:
        """Count a float32 array of any shape."""
        if not values.size:
            return
        flat = np.ascontiguousarray(values, np.float32).reshape(-1)
        bins = (flat.view(np.uint32) >> np.uint32(_DROPPED_BITS)).astype(np.uint16) & np.uint16(0x7FFF)
        counts = np.bincount(bins, minlength=0x8000)
        self.counts += counts[:BINS]
        self.non_finite += int(counts[BINS:].sum())
        filled = np.flatnonzero(counts[:BINS])
        if filled.size and HIGH[filled[-1]] > self.largest:
            finite = flat[np.isfinite(flat)] if counts[BINS:].any() else flat
            self.largest = max(self.largest, float(finite.max()), -float(finite.min()))

    @property
    def total(self) -> int:
        """How many finite values were counted."""
        return int(self.counts.sum())

    def quantile(self, share: float) -> float:
        """The magnitude below which `share` (0..1) of the values lie, to 0.8 %; the exact largest for 1."""
        if not self.total:
            return 0.0
        position = int(np.searchsorted(np.cumsum(self.counts), share * self.total))
        return min(float(HIGH[min(position, BINS - 1)]), self.largest)
