"""Rounding weights so that their errors cancel.

Rounded one by one, the errors of a product's weights meet inputs that are far from independent. Here each column is
rounded in turn, and its error is spread over the columns not yet rounded so that the output on calibration photos
changes least: optimal brain quantisation in the Cholesky form of GPTQ (E. Frantar et al., 2022, arXiv 2210.17323),
applied to the covariance of the inputs rather than to their second moment, since the bias takes the mean. Then every
code moves to where the others, as they now are, want it, until there is little left to gain: coordinate descent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detrt.quantize.formats import Format

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]

DAMPING = 0.01
"""Of the mean variance, added to each: GPTQ's own value."""

SWEEPS = 2
"""Of the descent. The first gains most, a third next to nothing."""

_AT_ONCE = 2**22  # numbers that are rounded at once, to bound memory
_BLOCK = 128  # columns whose errors are spread at once


def round_compensated(rows: Array, scales: Array, covariance: Doubles, target: Format) -> Array:
    """Codes of a weight matrix, rounded so that its output changes least.

    Args:
        rows: (outputs, columns) float32.
        scales: (outputs,) float32.
        covariance: (columns, columns) of what the columns multiply.
        target: the narrow type.

    Returns:
        (outputs, columns), of the narrow type.
    """
    order = np.argsort(-np.diagonal(covariance), kind="stable")  # what matters most has the most to lean on
    spread = _error_spread(covariance[np.ix_(order, order)])
    rounded = np.empty(rows.shape)
    together = max(1, _AT_ONCE // rows.shape[1])
    for start in range(0, len(rows), together):
        some = slice(start, start + together)
        rounded[some, order] = _rounded_in_turn(rows[some][:, order].astype(np.float64), scales[some], spread, target)
    return target.encode(_descended(rounded, rows, scales, covariance, target), scales[:, None])


def _rounded_in_turn(wanted: Doubles, scales: Array, spread: Doubles, target: Format) -> Doubles:
    """What the rows become, column by column, each error made up for by the columns after it."""
    left, rounded = wanted.copy(), np.empty_like(wanted)
    for start in range(0, left.shape[1], _BLOCK):
        end = min(start + _BLOCK, left.shape[1])
        errors = np.empty((left.shape[0], end - start))
        for column in range(start, end):
            rounded[:, column] = target.round_trip(left[:, column].astype(np.float32), scales)
            error = (left[:, column] - rounded[:, column]) / spread[column, column]
            left[:, column + 1 : end] -= np.outer(error, spread[column, column + 1 : end])
            errors[:, column - start] = error
        left[:, end:] -= errors @ spread[start:end, end:]
    return rounded


def _descended(rounded: Doubles, rows: Array, scales: Array, covariance: Doubles, target: Format) -> Array:
    """The rows after `SWEEPS` of coordinate descent: no code moves unless the output's error falls."""
    values = rounded.copy()
    slope = (values - rows) @ covariance
    for _ in range(SWEEPS):
        for column in np.argsort(-np.diagonal(covariance), kind="stable"):
            curve = max(float(covariance[column, column]), 1e-12)
            wanted = (values[:, column] - slope[:, column] / curve).astype(np.float32)
            step = target.round_trip(wanted, scales) - values[:, column]
            step[step * (2 * slope[:, column] + step * curve) >= 0] = 0
            moved = np.flatnonzero(step)
            values[moved, column] += step[moved]
            slope[moved] += np.outer(step[moved], covariance[column])
    return values.astype(np.float32)


def _error_spread(covariance: Doubles) -> Doubles:
    """Upper Cholesky factor of the inverse covariance: row i says how column i's error is best made up for."""
    size = len(covariance)
    damped = covariance + np.eye(size) * max(DAMPING * float(np.trace(covariance)) / size, 1e-12)
    inverse = np.linalg.inv(damped)
    return np.asarray(np.linalg.cholesky((inverse + inverse.T) / 2).T)
