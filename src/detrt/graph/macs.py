"""Multiply-accumulates of a graph: what its convolutions and matrix products cost for one image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import onnx

from detrt.graph.static_shapes import Shape, static_shapes

_WEIGHT = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3, "ConvTranspose": 1}  # which input holds the kernel
_PRODUCT = ("MatMul", "MatMulInteger", "QLinearMatMul", "Gemm")
_OTHERS = ("Einsum", "Attention", "MultiHeadAttention", "LSTM", "GRU", "RNN", "DeformConv")  # costly, and not counted


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates at batch 1; two of the FLOPs that papers count.

    Attributes:
        total: of every node that could be counted.
        by_op: the same by operator.
        uncounted: nodes that cost something but whose shapes are unknown, or that nobody counts here, by operator.
    """

    total: int
    by_op: Mapping[str, int]
    uncounted: Mapping[str, int]


def count_macs(model: onnx.ModelProto) -> Macs:
    """Count convolutions, transposed convolutions and matrix products; everything else is small beside them."""
    shapes = static_shapes(model)
    counted, uncounted = Counter[str](), Counter[str]()
    for node in model.graph.node:
        if node.op_type in _WEIGHT or node.op_type in _PRODUCT:
            macs = node_macs(node, shapes)
            if macs is None:
                uncounted[node.op_type] += 1
            else:
                counted[node.op_type] += macs
        elif node.op_type in _OTHERS:
            uncounted[node.op_type] += 1
    return Macs(counted.total(), dict(counted), dict(uncounted))


def node_macs(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int | None:
    """Output elements times the length of the sum behind each; of inputs, for a transposed convolution."""
    many = shapes.get(node.input[0] if node.op_type == "ConvTranspose" else node.output[0])
    if node.op_type in _WEIGHT:
        kernel = shapes.get(node.input[_WEIGHT[node.op_type]])
        summed = kernel[1:] if kernel else None  # channels of one group, then the window
    else:
        left = shapes.get(node.input[0])
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        summed = (left[0 if transposed else -1],) if left else None
    if many is None or summed is None:
        return None
    factors = [axis for axis in (*many, *summed) if axis is not None]
    return prod(factors) if len(factors) == len(many) + len(summed) else None
