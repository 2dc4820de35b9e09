"""Pass: scales that leave room for the sums of FP8 products, so that they fit into FP16.

TensorRT-RTX 1.6 multiplies codes and scales their sum afterwards. Where the graph around is FP16, that sum is FP16 too,
and codes of up to 448 on either side overflow its 65504: DEIMv2-femto and -atto gave NaN, with sums of up to 1.2
million in nearly all of their products. E4M3 is a floating-point type: a power of two less in its codes and one more in
its scale costs nothing but precision below 2^-6.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, numpy_helper

from detrt.graph import ops
from detrt.graph.passes import PassResult
from detrt.graph.quantized_linear import Links
from detrt.graph.unread import drop_unread

Array = npt.NDArray[Any]

LARGEST_CODE = 448.0
LARGEST_SUM = 65504.0 / 2
"""Half of FP16's range: a bias comes on top."""

LEAST_TOP = 0.875
"""The largest code of a channel stays above it, six octaves over the first that is less precise. Channels of about a
thousand weights end here; to overflow, nearly all of their inputs would have to be as large as they can be at once."""

ATTENTION = 16.0
"""By what to divide the codes of two activations. Only what they reach on photos is known, which 28 then stands for."""

_ROOM = "/room"  # ends the name of a scale that has been seen to

_CHANNELS = {"Conv": 0, "ConvTranspose": 1, "Gemm": 1, "MatMul": -1}  # the axis of a weight that counts them


def room_for_sums(model: onnx.ModelProto) -> PassResult:
    """Enlarge the scales of FP8 products where sums of their codes might leave FP16's range.

    A weight gives way, channel by channel: its codes are divided by the smallest power of two for which no input at
    all can overflow it, down to `LEAST_TOP`. Of two activations, both do. The second time there is nothing to do.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph, changed = Links(copy), False
    for node, operands in _fp8_products(graph):
        for operand, constant in operands:
            scale = graph.constant(operand.input[1])
            if scale is None or operand.input[1].endswith(_ROOM):
                continue
            if constant is not None:
                factor = _room(constant, _axis(operand) if scale.size > 1 else _channel_axis(node))
                changed |= _enlarge(graph, copy.graph, operand, scale, factor if scale.size > 1 else factor.max())
            elif all(other is None for _, other in operands):
                changed |= _enlarge(graph, copy.graph, operand, scale, np.array(ATTENTION))
    if not changed:
        return PassResult(model, changed=False)
    drop_unread(copy.graph)
    return PassResult(copy, changed=True)


def _fp8_products(graph: Links) -> list[tuple[NodeProto, list[tuple[NodeProto, Array | None]]]]:
    """Every product of two FP8 operands: their dequantisers, each with the magnitudes of its codes; see there.

    All are looked at before any is changed: a weight that several products read is a constant for each of them.
    """
    found = []
    for node in graph.nodes:
        operands = [graph.dequantizer(name) for name in node.input[:2]] if node.op_type in _CHANNELS else []
        narrow = [operand for operand in operands if operand is not None and _is_fp8(graph, operand)]
        if len(narrow) == 2:
            found.append((node, [(operand, _constant_codes(graph, operand)) for operand in narrow]))
    return found


def _room(codes: Array, axis: int) -> Array:
    """By what to divide each slice of a weight's codes along `axis`: a power of two, 1 at least."""
    rows = np.moveaxis(codes, axis, 0).reshape(codes.shape[axis], -1)
    octaves = np.ceil(np.log2(np.maximum(rows.sum(1) * LARGEST_CODE / LARGEST_SUM, 1.0)))
    spare = np.floor(np.log2(np.maximum(rows.max(1) / LEAST_TOP, 1.0)))
    return np.asarray(np.exp2(np.minimum(octaves, spare)))


def _enlarge(graph: Links, proto: onnx.GraphProto, dequantize: NodeProto, scale: Array, factor: Array) -> bool:
    """Multiply a scale wherever these codes have it, and divide the codes where they are stored."""
    if np.all(factor == 1):
        return False
    larger = f"{dequantize.input[1]}/{dequantize.output[0]}{_ROOM}"
    proto.initializer.append(numpy_helper.from_array((scale * factor).astype(scale.dtype).reshape(scale.shape), larger))
    codes, quantize = graph.constant(dequantize.input[0]), graph.maker(dequantize.input[0])
    if codes is not None:
        smaller = (codes.astype(np.float32) / _along(dequantize, factor, codes.ndim)).astype(codes.dtype)
        proto.initializer.append(numpy_helper.from_array(smaller, f"{larger}/codes"))
        dequantize.input[0], dequantize.input[1] = f"{larger}/codes", larger
    elif quantize is not None:
        for reader in (quantize, *(graph.nodes[number] for number in graph.readers[dequantize.input[0]])):
            if reader.op_type in ops.QUANTIZERS:
                reader.input[1] = larger
    return True


def _constant_codes(graph: Links, dequantize: NodeProto) -> Array | None:
    """Magnitudes of a constant's codes, stored as such or made by a quantiser of its own; None for an activation."""
    codes = graph.constant(dequantize.input[0])
    if codes is not None:
        return np.abs(codes.astype(np.float64))
    quantize, scale = graph.maker(dequantize.input[0]), graph.constant(dequantize.input[1])
    values = graph.constant(quantize.input[0]) if quantize is not None else None
    if values is None or scale is None:
        return None
    return np.minimum(np.abs(values.astype(np.float64) / _along(dequantize, scale, values.ndim)), LARGEST_CODE)


def _is_fp8(graph: Links, dequantize: NodeProto) -> bool:
    known = [graph.constant(dequantize.input[slot]) for slot in (0, 2) if slot < len(dequantize.input)]
    return any(value is not None and value.dtype == ml_dtypes.float8_e4m3fn for value in known)


def _along(dequantize: NodeProto, numbers: Array, rank: int) -> Array:
    """One number for all codes, or one a slice, in the shape that meets codes of `rank` axes."""
    shape = [1] * rank
    if numbers.size > 1:
        shape[_axis(dequantize)] = numbers.size
    return numbers.reshape(shape)


def _axis(dequantize: NodeProto) -> int:
    return next((int(item.i) for item in dequantize.attribute if item.name == "axis"), 1)


def _channel_axis(product: NodeProto) -> int:
    """Where the output channels lie in the weight of a product."""
    transposed = any(item.name == "transB" and item.i for item in product.attribute)
    return 0 if transposed else _CHANNELS[product.op_type]
