"""Outputs that are numbers: a model that overflowed gives NaN, which nothing downstream notices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detrt.errors import NonFiniteError
from detrt.runtime.base import Array


def require_finite(outputs: Mapping[str, Array], model: str) -> None:
    """Raise if an output holds NaN or infinity.

    Raises:
        NonFiniteError: names the output and how many of its values are bad.
    """
    for name, value in outputs.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            bad = int(np.count_nonzero(~np.isfinite(value)))
            raise NonFiniteError(
                f"{model} returned {bad:,} values of {value.size:,} in '{name}' that are NaN or infinite.",
                "Build it at --precision fp32 to see whether rounding is the cause; give --calib PHOTOS for fp16.",
            )
