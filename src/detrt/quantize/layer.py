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

from detrt.quantize.formats import Doubles, Format
from detrt.quantize.rounding import round_compensated

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class RoundedLayer:
    """Weight codes (groups, outputs, columns), scales (groups, outputs), and what to add to the bias."""

    codes: Array
    scales: Array
    bias_shift: Array


def round_layer(
    matrix: Array, samples: Array | None, input_scale: Array | None, target: Format, *, compensate: bool
) -> RoundedLayer:
    """Round a product's weight, and find the mean error of its output.

    Args:
        matrix: (groups, outputs, columns) float32, the weight.
        samples: (groups, patches, columns) float32, what it multiplies; None where nobody sampled it.
        input_scale: scale of the quantised input; one that differs from token to token is left out of the mean.
        target: the narrow type.
        compensate: round so that errors cancel, and correct the bias; else to the nearest, as it comes.
    """
    scales = target.scale(np.abs(matrix).max(-1))
    if samples is None or not compensate:
        codes = target.encode(matrix, scales[..., None])
        return RoundedLayer(codes, scales, np.zeros(scales.size, np.float32))
    codes = np.stack(
        [
            round_compensated(rows, scale, _covariance(seen), target)
            for rows, scale, seen in zip(matrix, scales, samples, strict=True)
        ]
    )
    rounded = codes.astype(np.float32) * scales[..., None]
    seen = samples if input_scale is None or input_scale.ndim else target.round_trip(samples, input_scale)
    error = _output(rounded, seen.mean(1, keepdims=True)) - _output(matrix, samples.mean(1, keepdims=True))
    return RoundedLayer(codes, scales, -error.reshape(-1).astype(np.float32))


def _covariance(patches: Array) -> Doubles:
    """(columns, columns) of (patches, columns); zeros of a single patch, as one photo shows to a squeeze-excitation."""
    return np.asarray(np.cov(patches.T.astype(np.float64), bias=True)).reshape(patches.shape[1], -1)


def _output(matrix: Array, samples: Array) -> Array:
    """(groups, patches, outputs)."""
    return np.asarray(np.matmul(samples, matrix.transpose(0, 2, 1)))
