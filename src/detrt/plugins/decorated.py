"""The plugins by TensorRT's decorators (`tensorrt.plugin`, 10.7 and later). Import it only where TensorRT is.

Here they are registered, and launched from Python; decorated_aot.py puts their kernels into the engine instead.

No `from __future__ import annotations` here: TensorRT looks at the annotations themselves.
"""
# ruff: noqa: UP006, UP035

import weakref
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Tuple

import numpy as np
import numpy.typing as npt
import tensorrt.plugin as trtp

from detrt.plugins import tensorrt_types as types
from detrt.plugins.attention import AttentionOperation
from detrt.plugins.offsets import OffsetsOperation
from detrt.plugins.operation import View

trt = trtp.trt  # whichever module TensorRT itself calls so

Ints = npt.NDArray[np.int32]
Codes = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float32]

ATTENTION, OFFSETS = "detrt::DeformableAttention", "detrt::MultiHeadOffsets"


@trtp.register(ATTENTION)  # type: ignore[untyped-decorator]
def attention(
    value: trtp.TensorDesc,
    references: trtp.TensorDesc,
    offsets: trtp.TensorDesc,
    logits: trtp.TensorDesc,
    heads: int,
    shapes: Ints,
    points: Ints,
    offset_scale: float,
    discrete: int,
) -> trtp.TensorDesc:
    """One output, of the value's type."""
    shape = (value.shape_expr[0], references.shape_expr[1], value.shape_expr[2])
    return trtp.from_shape_expr(shape, dtype=value.dtype)


@trtp.impl(ATTENTION)  # type: ignore[untyped-decorator]
def run_attention(
    value: trtp.Tensor,
    references: trtp.Tensor,
    offsets: trtp.Tensor,
    logits: trtp.Tensor,
    heads: int,
    shapes: Ints,
    points: Ints,
    offset_scale: float,
    discrete: int,
    outputs: Tuple[trtp.Tensor],
    stream: int,
) -> None:
    """Launch on the stream."""
    operation = attention_of(heads, tuple(shapes.tolist()), tuple(points.tolist()), offset_scale, discrete)
    operation.enqueue(_views((value, references, offsets, logits)), _views(outputs), stream)


@trtp.register(OFFSETS)  # type: ignore[untyped-decorator]
def offsets(
    codes: trtp.TensorDesc,
    input_scale: Floats,
    input_offset: Codes,
    int8_attn_weight: Codes,
    attn_weight_scale: Floats,
    attn_weight_offset: Codes,
    attn_fp32_bias: Floats,
    int8_sp_weight: Codes,
    sp_weight_scale: Floats,
    sp_weight_offset: Codes,
    sp_fp32_bias: Floats,
) -> Tuple[trtp.TensorDesc, trtp.TensorDesc]:
    """Two outputs, FP32."""
    rows = list(codes.shape_expr)[:-1]
    shapes = ((*rows, len(bias)) for bias in (attn_fp32_bias, sp_fp32_bias))
    first, second = (trtp.from_shape_expr(shape, dtype=trt.float32) for shape in shapes)
    return first, second


@trtp.impl(OFFSETS)  # type: ignore[untyped-decorator]
def run_offsets(
    codes: trtp.Tensor,
    input_scale: Floats,
    input_offset: Codes,
    int8_attn_weight: Codes,
    attn_weight_scale: Floats,
    attn_weight_offset: Codes,
    attn_fp32_bias: Floats,
    int8_sp_weight: Codes,
    sp_weight_scale: Floats,
    sp_weight_offset: Codes,
    sp_fp32_bias: Floats,
    outputs: Tuple[trtp.Tensor, trtp.Tensor],
    stream: int,
) -> None:
    """Launch on the stream; the weights are uploaded the first time."""
    operation = OFFSETS_MADE.of(locals())
    operation.enqueue(_views((codes,)), _views(outputs), stream)


class OffsetsByWeight:
    """Operations by the array that holds their weights, so that each uploads once; gone when the array is."""

    def __init__(self) -> None:
        self._made: dict[int, OffsetsOperation] = {}

    def of(self, fields: dict[str, Any]) -> OffsetsOperation:
        """The operation of these attributes."""
        weight = fields["int8_sp_weight"]
        made = self._made.get(id(weight))
        if made is None:
            made = OffsetsOperation({name: fields[name] for name in OffsetsOperation.field_types})
            self._made[id(weight)] = made
            weakref.finalize(weight, self._made.pop, id(weight), None)
        return made


OFFSETS_MADE = OffsetsByWeight()


@lru_cache(maxsize=64)
def attention_of(
    heads: int, shapes: tuple[int, ...], points: tuple[int, ...], offset_scale: float, discrete: int
) -> AttentionOperation:
    """The operation of these attributes."""
    return AttentionOperation(heads, shapes, points, offset_scale, discrete)


def _views(tensors: Sequence[Any]) -> list[View]:
    return [_view(tensor) for tensor in tensors]


def _view(tensor: Any) -> View:
    element = types.element_of(tensor.dtype)
    assert element is not None, tensor.dtype
    return View(int(tensor.data_ptr), tuple(tensor.shape), element)
