"""MultiHeadOffsets: the two INT8 linears of a decoder layer that read the same codes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from detrt.errors import ModelError
from detrt.kernels.launch import Element
from detrt.kernels.offset_projection import FILE, Linear, OffsetProjection, launch_of
from detrt.plugins.operation import Array, Fields, Operation, View, current_gpu, field, launch
from detrt.runtime.cuda import CudaMemory

PARTS = ("attn", "sp")
"""Names of the layers, in the order of the outputs."""

_ALIGNMENT = 256


def attribute_names(part: str) -> tuple[str, str, str, str]:
    """Weight int8 (O, K), its scale float32 (O,), its zero point int8 (O,), bias float32 (O,)."""
    return f"int8_{part}_weight", f"{part}_weight_scale", f"{part}_weight_offset", f"{part}_fp32_bias"


class OffsetsOperation(Operation):
    """Codes to attention weights before their softmax, and to sampling offsets.

    Codes are int8 (..., K), or floats that are quantised on the way; the outputs (..., A) and (..., O).
    The fields are the attributes of `detrt::MultiHeadOffsets`: graph/multi_head_offsets.py.
    """

    name: ClassVar = "MultiHeadOffsets"
    input_count: ClassVar = 1
    output_count: ClassVar = 2
    field_types: ClassVar[Mapping[str, npt.DTypeLike]] = {"input_scale": np.float32, "input_offset": np.int8} | {
        name: kind
        for part in PARTS
        for name, kind in zip(attribute_names(part), (np.int8, np.float32, np.int8, np.float32), strict=True)
    }

    def __init__(self, fields: Fields) -> None:
        self.fields: Fields = {name: field(fields, name) for name in self.field_types}
        self.layers = [_Layer.of(self.fields, part) for part in PARTS]
        self.scale, self.depth = float(self.fields["input_scale"][0]), self.layers[0].depth
        if not 0 < self.scale < np.inf or self.fields["input_offset"].any():
            raise ModelError(
                f"The input's scale is {self.scale}, its zero point {self.fields['input_offset'][0]}.",
                "TensorRT takes scales above 0 and the zero point 0 only.",
            )
        if self.layers[1].depth != self.depth:
            raise ModelError(
                f"The two layers read {self.depth} and {self.layers[1].depth} numbers.",
                "They must read the same codes.",
            )
        self._lock = threading.Lock()
        self._weights: CudaMemory | None = None

    @classmethod
    def from_fields(cls, fields: Fields) -> OffsetsOperation:
        """See `Operation.from_fields`."""
        return cls(fields)

    def output_shapes(self, inputs: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """See `Operation.output_shapes`."""
        return [[*inputs[0][:-1], layer.columns] for layer in self.layers]

    def output_elements(self, inputs: Sequence[Element]) -> list[Element]:
        """See `Operation.output_elements`."""
        return [Element.float32] * 2

    def takes(self, elements: Sequence[Element]) -> bool:
        """See `Operation.takes`."""
        first, last = elements[0], elements[-1]
        match len(elements):
            case 1:
                return True
            case 2:
                return last is not Element.int8 and (first is Element.int8 or last in (first, Element.float32))
            case _:
                return last is elements[1]

    def prepare(self) -> None:
        """See `Operation.prepare`."""
        with self._lock:
            if self._weights is None:
                self._weights = _uploaded(self.packed())

    def enqueue(self, inputs: Sequence[View], outputs: Sequence[View], stream: int) -> None:
        """See `Operation.enqueue`."""
        if self._weights is None:
            self.prepare()
        assert self._weights is not None
        (codes,) = inputs
        if codes.shape[-1:] != (self.depth,):
            raise ModelError(f"The codes have the shape {codes.shape}.", f"The last axis must be {self.depth}.")
        problem = OffsetProjection(
            x=codes.address,
            rows=int(np.prod(codes.shape[:-1])),
            depth=self.depth,
            x_scale=self.scale,
            x_element=codes.element,
            output_element=outputs[0].element,
        )
        places = self.places(self._weights.pointer)
        problem.attention, problem.offsets = (
            Linear(*place, view.address, layer.columns)
            for place, view, layer in zip(places, outputs, self.layers, strict=True)
        )
        if problem.rows:
            launch(FILE, launch_of(problem), problem, stream)

    def packed(self) -> Array:
        """All weights, scales and biases in one piece, each on 256 bytes."""
        parts = [array.view(np.uint8).reshape(-1) for layer in self.layers for array in layer.arrays]
        return np.concatenate([np.pad(part, (0, -len(part) % _ALIGNMENT)) for part in parts])

    def places(self, start: int) -> list[tuple[int, int, int]]:
        """Where weight, scale and bias of each layer lie in what `packed` gives."""
        sizes = [-(-array.nbytes // _ALIGNMENT) * _ALIGNMENT for layer in self.layers for array in layer.arrays]
        starts = [start + sum(sizes[:number]) for number in range(len(sizes))]
        return [(starts[0], starts[1], starts[2]), (starts[3], starts[4], starts[5])]


@dataclass(frozen=True)
class _Layer:
    columns: int
    depth: int
    arrays: tuple[Array, Array, Array]  # weight int8, scale float32, bias float32

    @staticmethod
    def of(fields: Fields, part: str) -> _Layer:
        weight, scale, zero, bias = (fields[name] for name in attribute_names(part))
        if not len(bias) or len(weight) % len(bias) or not len(scale) == len(zero) == len(bias) or zero.any():
            raise ModelError(
                f"The layer '{part}' has {len(weight)} weights, {len(scale)} scales, {len(zero)} zero points "
                f"({np.count_nonzero(zero)} of them not 0) and {len(bias)} biases.",
                "Give each output a row of weights, a scale, a bias and the zero point 0: TensorRT takes no other.",
            )
        arrays = (np.asarray(weight, np.int8), np.asarray(scale, np.float32), np.asarray(bias, np.float32))
        return _Layer(len(bias), len(weight) // len(bias), arrays)


def _uploaded(data: Array) -> CudaMemory:
    """Once, on a stream of its own: the default one would wait for all others."""
    gpu = current_gpu()
    memory, stream = gpu.allocate(data.nbytes), gpu.stream()
    try:
        gpu.copy(memory.pointer, data.ctypes.data, data.nbytes, stream.handle)
        stream.synchronize()
    finally:
        stream.close()
    return memory
