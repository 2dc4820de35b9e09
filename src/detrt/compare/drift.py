"""How far a tensor of one runtime is from the same tensor of another, and what that looks like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Doubles = npt.NDArray[np.float64]

_SAMPLE = 20_000  # of the differences of a photo, for their 90th percentile
_PIXELS = 2_000  # of a feature map
_FEATURES = 128  # that a query is known by
_SELECTED_BY_BOTH = 0.95  # part of the queries that is compared
_UNUSED = 1e30  # anchors that are not used are infinite, or as good as that
_EXPLAINED = 0.9  # part of the difference's power that an explanation must account for


@dataclass(frozen=True)
class Drift:
    """Statistics of one tensor over all photos, `first` being the reference.

    Attributes:
        size: root mean square of the difference over the standard deviation of the reference.
        shift: mean of second - first.
        scale: factor that maps the reference onto the second best (least squares).
        cosine: of the angle between both.
        p90: 90th percentile of |second - first|.
        looks_like: what the difference is mostly made of.
        finite: whether the second has no NaN and no infinity.
    """

    size: float
    mean_first: float
    mean_second: float
    std_first: float
    std_second: float
    shift: float
    scale: float
    cosine: float
    p90: float
    looks_like: str
    finite: bool = True


@dataclass
class DriftSums:
    """Adds up what `Drift` needs, photo by photo; keeps no tensor."""

    channel_axis: int
    _sums: Doubles | None = None
    _samples: list[Doubles] = field(default_factory=list)
    _finite: bool = True

    def add(self, first: npt.NDArray[Any], second: npt.NDArray[Any]) -> None:
        """One photo's tensors, equal in shape."""
        a, b = _thinned(first).astype(np.float64), _thinned(second).astype(np.float64)
        usable = np.isfinite(a) & (np.abs(a) < _UNUSED)
        self._finite &= bool(np.isfinite(b[usable]).all())
        usable &= np.isfinite(b)
        a, b = np.where(usable, a, 0.0), np.where(usable, b, 0.0)
        d = b - a
        axes = tuple(axis for axis in range(a.ndim) if axis != self.channel_axis % max(a.ndim, 1))
        channels = [np.atleast_1d(term.sum(axis=axes)) for term in (usable, a, d, a * a, a * d, d * d)]
        sums = np.stack(channels).astype(np.float64)
        self._sums = sums if self._sums is None else self._sums + sums
        flat = np.abs(d[usable])
        self._samples.append(flat[:: max(1, flat.size // _SAMPLE)])

    def result(self) -> Drift:
        """The drift over all photos."""
        assert self._sums is not None
        _, a, d, aa, ad, dd = self._sums.sum(axis=1) / max(1.0, self._sums[0].sum())
        b, bb, ab = a + d, aa + 2 * ad + dd, aa + ad
        spread_a, spread_b = np.sqrt(max(0.0, aa - a * a)), np.sqrt(max(0.0, bb - b * b))
        samples = np.concatenate(self._samples)
        return Drift(
            size=float(np.sqrt(dd) / (spread_a or np.sqrt(aa) or 1.0)) if self._finite else float("inf"),
            mean_first=float(a),
            mean_second=float(b),
            std_first=float(spread_a),
            std_second=float(spread_b),
            shift=float(d),
            scale=float(ab / aa) if aa else 1.0,
            cosine=float(ab / np.sqrt(aa * bb)) if aa * bb > 0 else 1.0,
            p90=float(np.quantile(samples, 0.9)) if samples.size else 0.0,
            looks_like=self._looks_like(),
            finite=self._finite,
        )

    def _looks_like(self) -> str:
        """The simplest explanation that leaves little of the difference's power unexplained."""
        if not self._finite:
            return "NaN or infinity: numbers overflow"
        assert self._sums is not None
        count, a, d, aa, ad, dd = self._sums
        power, unexplained = float(dd.sum()), 1 - _EXPLAINED
        if power <= 1e-12 * float(aa.sum()):
            return "no difference"
        by_scale = 1 + _ratio(ad.sum(), aa.sum())
        if power - (by_scale - 1) * float(ad.sum()) <= unexplained * power:
            return f"scaled by {by_scale:.3g}: a wrong scale"
        # around each channel's own mean, a constant of the channel is gone
        size = np.maximum(count, 1)
        aa, ad, dd = aa - a * a / size, ad - a * d / size, dd - d * d / size
        if float(dd.sum()) <= unexplained * power:
            return "a constant in each channel: a bias was dropped or added"
        within = 1 + _ratio(ad.sum(), aa.sum())
        if float(dd.sum()) - (within - 1) * float(ad.sum()) <= unexplained * power:
            return f"scaled by {within:.3g} within each channel, beside a constant: a wrong scale before a bias"
        return "noise: rounding or quantisation"


def _ratio(part: np.floating[Any], whole: np.floating[Any]) -> float:
    return float(part / whole) if whole > 0 else 0.0


def _thinned(tensor: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A large feature map's every n-th row and column: enough for statistics, and many times quicker."""
    if tensor.ndim != 4:
        return tensor
    step = max(1, round((tensor.shape[2] * tensor.shape[3] / _PIXELS) ** 0.5))
    return tensor[:, :, ::step, ::step]


def channel_axis_of(rank: int) -> int:
    """Where the channels of a tensor lie: (N, C, H, W), or last."""
    return 1 if rank == 4 else -1


def matched_rows(
    first: npt.NDArray[Any], second: npt.NDArray[Any], rows: int, *, close: float = 0.01
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Both tensors with their queries as axis 0, in one order, without the few that only one of them selected.

    A query is known by its values. They are standardised in each channel first, so that a shift or a scale, which hits
    every query alike, stays in the result and cannot disturb the order.

    Args:
        first: the reference.
        second: of the same shape.
        rows: number of queries. An axis of that extent counts them; else one of a multiple of it, in either order.
        close: root mean square of the difference, in standard deviations, below which rows stay as they are.
    """
    ways = ("outer",) if rows in first.shape else ("outer", "inner")
    views = [(_by_query(first, rows, way), _by_query(second, rows, way)) for way in ways]
    pairs = [(one, other) for one, other in views if one is not None and other is not None]
    if not pairs:
        return first, second
    if not (np.isfinite(first).all() and np.isfinite(second).all()) or _error(first, second) <= close * first.std():
        return pairs[0]  # matching takes time, and noise can only look smaller by it
    return min((_aligned(*pair) for pair in pairs), key=lambda pair: _error(*pair))


def _by_query(tensor: npt.NDArray[Any], rows: int, way: str) -> npt.NDArray[Any] | None:
    """The tensor with queries as axis 0; attention between queries is sorted, since the order of the others is free."""
    exact = [axis for axis, extent in enumerate(tensor.shape) if extent == rows]
    if exact:
        turned = np.moveaxis(tensor, exact[0], 0)
        for axis in exact[1:]:
            turned = np.sort(turned, axis=axis)
        return turned
    for axis, extent in enumerate(tensor.shape):
        if extent and extent % rows == 0:
            parts = (rows, extent // rows) if way == "outer" else (extent // rows, rows)
            split = tensor.reshape(*tensor.shape[:axis], *parts, *tensor.shape[axis + 1 :])
            return np.moveaxis(split, axis if way == "outer" else axis + 1, 0)
    return None


def _aligned(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    features = [tensor.reshape(len(tensor), -1) for tensor in (first, second)]
    step = max(1, features[0].shape[1] // _FEATURES)
    one, other = (_standardised(table[:, ::step].astype(np.float64)) for table in features)
    distance = np.maximum((one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T, 0)
    distance /= distance + one.shape[1]  # far is far: a query without partner must not push others off theirs
    order = linear_sum_assignment(distance)[1]
    far = distance[np.arange(len(order)), order]
    kept = np.sort(np.argsort(far)[: max(1, round(_SELECTED_BY_BOTH * len(order)))])
    return first[kept], second[order][kept]


def _error(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    return float(np.sqrt(((first.astype(np.float64) - second) ** 2).mean()))


def _standardised(features: Doubles) -> Doubles:
    """By median and quartiles, which a few queries that only one side selected do not move."""
    low, middle, high = np.quantile(features, (0.25, 0.5, 0.75), axis=0)
    spread = high - low
    return np.asarray((features - middle) / np.where(spread > 0, spread, 1.0))
