"""The decorated plugins' kernels as a part of the engine, which then needs neither Python nor detrt (TensorRT 10.9).

Import it only where TensorRT is; choose it with the network's flag PREFER_AOT_PYTHON_PLUGINS. The kernel is PTX for the
GPU that the engine is built on. PTX must not be newer than the driver: nvidia-cuda-nvrtc of the driver's CUDA version.

No `from __future__ import annotations` here: TensorRT looks at the annotations themselves.
"""
# ruff: noqa: UP006, UP035

from math import prod
from typing import Any, Tuple

import tensorrt.plugin as trtp

from detrt.kernels.offset_projection import ROWS
from detrt.plugins import tensorrt_types as types
from detrt.plugins.decorated import ATTENTION, OFFSETS, OFFSETS_MADE, Codes, Floats, Ints, attention_of
from detrt.plugins.embedded import FUNCTION, embedded_attention, embedded_offsets
from detrt.plugins.operation import current_gpu

Kernel = Tuple[str, bytes, trtp.KernelLaunchParams, trtp.SymIntExprs]


@trtp.aot_impl(ATTENTION)  # type: ignore[untyped-decorator]
def embed_attention(
    value: trtp.TensorDesc,
    references: trtp.TensorDesc,
    offsets: trtp.TensorDesc,
    logits: trtp.TensorDesc,
    heads: int,
    shapes: Ints,
    points: Ints,
    offset_scale: float,
    discrete: int,
    outputs: Tuple[trtp.TensorDesc],
    tactic: int,
) -> Kernel:
    """The kernel with its sizes inside."""
    operation = attention_of(heads, tuple(shapes.tolist()), tuple(points.tolist()), offset_scale, discrete)
    element, sampling = (types.element_of(tensor.dtype) for tensor in (value, references))
    assert element is not None
    assert sampling is not None
    channels, size = value.shape[2], prod(tuple(references.shape)[2:])
    made = embedded_attention(operation, channels, size, element, sampling, current_gpu().capability)
    batch, queries = value.shape_expr[0], references.shape_expr[1]
    params = trtp.KernelLaunchParams()
    params.block_x = made.launch.threads
    params.grid_x = trtp.cdiv(batch * queries * made.threads_per_row, made.launch.threads)
    return FUNCTION, made.ptx, params, _numbers(batch, queries)


@trtp.aot_impl(OFFSETS)  # type: ignore[untyped-decorator]
def embed_offsets(
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
    outputs: Tuple[trtp.TensorDesc, trtp.TensorDesc],
    tactic: int,
) -> Kernel:
    """The kernel with its weights inside."""
    operation = OFFSETS_MADE.of(locals())
    x, output = types.element_of(codes.dtype), types.element_of(outputs[0].dtype)
    assert x is not None
    assert output is not None
    made = embedded_offsets(operation, x, output, current_gpu().capability)
    rows: Any = 1
    for axis in list(codes.shape_expr)[:-1]:
        rows = axis * rows
    params = trtp.KernelLaunchParams()
    params.block_x = made.launch.threads
    params.grid_x, params.grid_y = trtp.cdiv(rows, ROWS), made.launch.grid[1]
    return FUNCTION, made.ptx, params, _numbers(rows)


def _numbers(*values: Any) -> trtp.SymIntExprs:
    numbers = trtp.SymIntExprs(len(values))
    for place, value in enumerate(values):
        numbers[place] = trtp.SymInt32(value)
    return numbers
