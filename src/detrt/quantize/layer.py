"""One product made narrow: the range of its input, the codes of its weight, and the bias that takes what is left.

The mean of a rounding error is the same at every position, so detections feel it more than noise. It is subtracted
from the bias, that of the weights and that of the activations alike (M. Nagel et al., Data-Free Quantization, 2019,
arXiv 1906.04721, there without photos).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detrt.quantize.formats import Format
from detrt.quantize.rounding import round_compensated

Array = npt.NDArray[Any]

CANDIDATES = np.exp2(-np.arange(0, 6.5, 0.5))
"""Ranges to try, relative to the maximum: down to 1/64, in half octaves."""


@dataclass(frozen=True)
class RoundedLayer:
    """A weight matrix as codes (groups, outputs, columns), scales (groups, outputs), and what to add to the bias."""

    codes: Array
    scales: Array
    bias_shift: Array


def round_layer(
    matrix: Array, samples: Array | None, input_scale: float | None, target: Format, *, compensate: bool
) -> RoundedLayer:
    """Round a product's weight, and find the mean error of its output.

    Args:
        matrix: (groups, outputs, columns) float32, the weight.
        samples: (groups, patches, columns) float32, what it multiplies; None where nobody sampled it.
        input_scale: scale of the quantised input.
        target: the narrow type.
        compensate: round so that errors cancel, and correct the bias; else to the nearest, as it comes.
    """
    scales = target.scale(np.abs(matrix).max(-1))
    if samples is None or not compensate:
        return RoundedLayer(target.encode(matrix, scales[..., None]), scales, np.zeros(scales.size, np.float32))
    codes = np.stack(
        [
            round_compensated(rows, scale, np.cov(seen.T.astype(np.float64)).reshape(rows.shape[1], -1), target)
            for rows, scale, seen in zip(matrix, scales, samples, strict=True)
        ]
    )
    rounded = codes.astype(np.float32) * scales[..., None]
    seen = samples if input_scale is None else target.round_trip(samples, np.asarray(input_scale, np.float32))
    error = _output(rounded, seen.mean(1, keepdims=True)) - _output(matrix, samples.mean(1, keepdims=True))
    return RoundedLayer(codes, scales, -error.reshape(-1).astype(np.float32))


def output_errors(matrix: Array, samples: Array, largest: float, target: Format) -> Array:
    """How much quantising the input hurts the output, for every range in `CANDIDATES` times `largest`.

    The measure is the squared error of the output relative to its own square, position by position, its mean taken
    out. So a few huge activations do not speak for all the places where the small ones carry the picture, as they do
    in the mean squared error of the tensor.
    """
    exact = _output(matrix, samples)
    power = np.square(exact - exact.mean(1, keepdims=True)).sum(-1)
    power += 1e-2 * power.mean() + 1e-20
    errors = []
    for share in CANDIDATES:
        scale = target.scale(largest * float(share))
        change = _output(matrix, target.round_trip(samples, scale)) - exact
        change -= change.mean(1, keepdims=True)
        errors.append(float((np.square(change).sum(-1) / power).mean()))
    return np.array(errors)


def _output(matrix: Array, samples: Array) -> Array:
    """(groups, patches, outputs)."""
    return np.asarray(np.matmul(samples, matrix.transpose(0, 2, 1)))
