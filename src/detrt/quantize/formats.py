"""The two narrow types: how far they reach, how they round, what rounding costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import ml_dtypes
import numpy as np
import numpy.typing as npt
from onnx import TensorProto

Precision = Literal["int8", "fp8"]
Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]

SMALLEST_SCALE = 2.0**-14


@dataclass(frozen=True)
class Format:
    """A narrow number type, used symmetrically: value = scale * code.

    Attributes:
        name: `int8` or `fp8` (E4M3, the FN variant without infinities of OCP's 8-bit floating point specification).
        onnx_type: the element type in a graph.
        largest: the largest code.
    """

    name: Precision
    onnx_type: int
    largest: float

    def scale(self, largest_value: float | Array) -> Array:
        """The scale at which `largest_value` is the last that fits; 1 for a tensor of zeros. float32.

        No smaller than FP16's smallest normal number, so that the graph around it can become FP16: TensorRT takes no
        product whose operands have scales of two types.
        """
        value = np.asarray(largest_value, np.float64)
        return np.where(value > 0, np.maximum(value / self.largest, SMALLEST_SCALE), 1.0).astype(np.float32)

    def encode(self, values: Array, scale: Array) -> Array:
        """Codes of `values`, rounded half to even and clipped as ONNX's QuantizeLinear does."""
        scaled = values.astype(np.float32) / scale
        if self.name == "int8":
            return np.clip(np.rint(scaled), -128, 127).astype(np.int8)
        return np.clip(scaled, -self.largest, self.largest).astype(ml_dtypes.float8_e4m3fn)

    def round_trip(self, values: Array, scale: Array) -> Array:
        """`values` as they come back from their codes. float32."""
        return self.encode(values, scale).astype(np.float32) * scale

    def squared_error(self, magnitudes: Doubles, largest_value: float) -> Doubles:
        """Expected squared error of each magnitude when `largest_value` is the last that fits.

        Within a step the error is taken as uniform: step^2 / 12. Below half the first step a value becomes 0, above
        `largest_value` it is clipped.
        """
        scale = largest_value / self.largest
        step = scale * self._step(magnitudes / scale)
        inside = np.where(magnitudes < step / 2, magnitudes**2, step**2 / 12)
        return np.asarray(np.where(magnitudes > largest_value, (magnitudes - largest_value) ** 2, inside))

    def _step(self, codes: Doubles) -> Doubles:
        """Distance of neighbouring codes: 1 for integers; three bits below the leading one, 2^-9 at least, for E4M3."""
        if self.name == "int8":
            return np.ones_like(codes)
        exponent = np.floor(np.log2(np.maximum(codes, 2.0**-6)))
        return np.asarray(np.exp2(exponent - 3))


FORMATS: dict[Precision, Format] = {
    "int8": Format("int8", TensorProto.INT8, 127.0),
    "fp8": Format("fp8", TensorProto.FLOAT8E4M3FN, 448.0),
}
