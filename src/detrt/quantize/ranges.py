"""Where to clip a tensor: four ways to choose its range from how its magnitudes are spread."""

from __future__ import annotations

from typing import Literal

import numpy as np

from detrt.quantize.formats import Doubles, Format
from detrt.quantize.histogram import CENTERS, HIGH, LOW, Histogram

Method = Literal["max", "percentile", "mse", "entropy"]

_CANDIDATES = np.exp2(np.linspace(-6, 0, 97))  # from the maximum down to 1/64 of it, in sixteenths of an octave
_ENTROPY_BINS = 2048  # as in TensorRT's own calibration


def choose_range(histogram: Histogram, method: Method, target: Format, *, percentile: float = 99.99) -> float:
    """The largest magnitude that shall be represented; what is above is clipped to it.

    Args:
        histogram: of the tensor over the calibration photos.
        method: `max` clips nothing; `percentile` clips all but that share of the values; `mse` has the smallest mean
            squared error; `entropy` the smallest Kullback-Leibler divergence (S. Migacz, 8-bit inference with
            TensorRT, GTC 2017), known for integers only and the same as `mse` for floating point.
        target: the narrow type.
        percentile: of `percentile`, 0..100.
    """
    largest = histogram.largest
    if not largest:
        return 0.0
    match method:
        case "max":
            return largest
        case "percentile":
            return histogram.quantile(percentile / 100)
        case "entropy" if target.name == "int8":
            return _least_divergence(histogram, target)
        case _:
            return _least_error(histogram, target)


def _least_error(histogram: Histogram, target: Format) -> float:
    filled = np.flatnonzero(histogram.counts)
    weights, values = histogram.counts[filled].astype(np.float64), CENTERS[filled]
    candidates = histogram.largest * _CANDIDATES
    errors = [float(weights @ target.squared_error(values, float(candidate))) for candidate in candidates]
    return float(candidates[int(np.argmin(errors))])


def _least_divergence(histogram: Histogram, target: Format) -> float:
    """Clip where the distribution of the codes tells the least from that of the clipped values."""
    fine = _linear(histogram)
    levels = int(target.largest) + 1
    best, found = np.inf, _ENTROPY_BINS
    for kept in range(levels, _ENTROPY_BINS + 1, levels // 8):
        clipped = fine[:kept].copy()
        clipped[-1] += fine[kept:].sum()
        divergence = _divergence(clipped, _coarsened(fine[:kept], levels))
        if divergence < best:
            best, found = divergence, kept
    return histogram.largest * found / _ENTROPY_BINS


def _linear(histogram: Histogram) -> Doubles:
    """The counts in equal bins from 0 to the maximum; each octave bin is spread over those that it overlaps."""
    edges = np.linspace(0, histogram.largest, _ENTROPY_BINS + 1)
    filled = np.flatnonzero(histogram.counts)
    low, high = LOW[filled], np.minimum(HIGH[filled], histogram.largest * (1 + 1e-9))
    weights = histogram.counts[filled].astype(np.float64)
    below = np.clip((edges[:, None] - low) / (high - low), 0, 1) @ weights
    counts = np.diff(below)
    counts[0] -= histogram.counts[0]  # exact zeros are coded without error and would hide everything else
    return np.maximum(counts, 0)


def _coarsened(fine: Doubles, levels: int) -> Doubles:
    """Each level's count spread evenly over those of its bins that hold anything."""
    level = np.arange(fine.size) * levels // fine.size
    filled = fine > 0
    counts = np.bincount(level, weights=fine, minlength=levels)
    holders = np.bincount(level, weights=filled, minlength=levels)
    return np.where(filled, (counts / np.maximum(holders, 1))[level], 0.0)


def _divergence(true: Doubles, coded: Doubles) -> float:
    p, q = true / max(true.sum(), 1), coded / max(coded.sum(), 1)
    seen = p > 0
    return float(np.sum(p[seen] * np.log(p[seen] / np.maximum(q[seen], 1e-12))))
