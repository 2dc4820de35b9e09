"""A feed-forward block as a batch of two blocks of half the width, whose results are added."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import onnx
from onnx import NodeProto

from detrt.graph.passes import PassResult
from detrt.graph.splice import Splice, integer, splice_of
from detrt.graph.static_shapes import Array

HALVES = 2

WIDE = 1024
"""Hidden features from which it pays. Measured with TensorRT-RTX 1.6.1 on an H100, FP16, 300 queries, 256 -> 1024 ->
256, in three decoder layers: 0.828 ms the whole network as it was, 0.817 ms in halves. The product over 1024 features
has few outputs, so the builder splits the sum over thread blocks by a kernel that clears its memory first (4 us)."""

FEW_ROWS = 512
"""Queries, or pixels, up to which the outputs are too few to fill a GPU: those of one image, not of two."""


@dataclass(frozen=True)
class Linear:
    """x @ weight + bias, where `node` is the product."""

    node: NodeProto
    weight: Array
    bias: Array | None


def halve_feed_forward(model: onnx.ModelProto) -> PassResult:
    """Halve the hidden features of linear -> ReLU -> linear: relu(x A + a) B is the sum over halves of A, a and B.

    Concerns blocks of `WIDE` hidden features or more on `FEW_ROWS` rows or less, in two axes or with a batch of one,
    with constant weights, neither quantised nor of open shape, whose hidden features nobody else reads.
    """
    splice = splice_of(model)
    if splice is None:
        return PassResult(model, changed=False)
    for relu in splice.nodes:
        if relu.op_type == "Relu" and (last := splice.only_reader(relu.output[0])) is not None:
            first, weight = _linear_before(splice, relu), _weight(splice, last)
            if first and weight is not None and last.input[0] == relu.output[0] and _pays(splice, first, weight):
                _halve(splice, first, last, weight)
    return splice.result()


def _linear_before(splice: Splice, relu: NodeProto) -> Linear | None:
    """The linear layer whose output the ReLU alone reads: a Gemm, or a MatMul and perhaps an Add."""
    name = relu.input[0]
    node = splice.maker(name)
    if node is None or splice.only_reader(name) is None:
        return None
    bias = None
    if node.op_type == "Add":
        for product, other in (node.input, reversed(node.input)):
            maker, bias = splice.maker(product), splice.constant(other)
            if maker is not None and maker.op_type == "MatMul" and bias is not None:
                node = maker if splice.only_reader(product) is not None else node
                break
    elif node.op_type == "Gemm" and len(node.input) > 2 and node.input[2]:
        bias = splice.constant(node.input[2])
        if bias is None:
            return None
    weight = _weight(splice, node)
    if weight is None or (bias is not None and bias.shape != weight.shape[1:]):
        return None
    return Linear(node, weight, bias)


def _weight(splice: Splice, node: NodeProto) -> Array | None:
    """The constant (inputs, outputs) that the node multiplies its data by; None where it does anything else."""
    if node.op_type not in ("Gemm", "MatMul") or splice.is_quantized(node):
        return None
    weight = splice.constant(node.input[1])
    if weight is None or weight.ndim != 2 or integer(node, "transA", 0):
        return None
    if any(item.name in ("alpha", "beta") and item.f != 1 for item in node.attribute):
        return None
    return weight.T if integer(node, "transB", 0) else weight


def _pays(splice: Splice, first: Linear, last: Array) -> bool:
    """Whether the block is wide, its rows are few, and its data has two axes or a batch of one."""
    hidden = len(last)
    shape = splice.shape(first.node.input[0])
    return (
        shape is not None
        and (len(shape) == 2 or (len(shape) == 3 and shape[0] == 1))
        and prod(shape[:-1]) <= FEW_ROWS
        and first.weight.shape[1] == hidden >= WIDE
        and hidden % HALVES == 0
    )


def _halve(splice: Splice, first: Linear, last: NodeProto, weight: Array) -> None:
    """Put the halves in the last product's place; what came before it loses its reader."""
    inputs, hidden = first.weight.shape
    half = hidden // HALVES
    has_batch = len(splice.shape(first.node.input[0]) or ()) == 3
    patch = splice.patch(last)
    data = first.node.input[0]
    if not has_batch:
        data = patch.add("Unsqueeze", "batch", data, patch.integers("batch.axes", 0))
    widening = first.weight.reshape(inputs, HALVES, half).transpose(1, 0, 2)
    data = patch.add("MatMul", "widened", data, patch.constant("widened.weight", widening))
    if first.bias is not None:
        data = patch.add("Add", "biased", data, patch.constant("biased.bias", first.bias.reshape(HALVES, 1, half)))
    data = patch.add("Relu", "hidden", data)
    narrowing = weight.reshape(HALVES, half, -1)
    data = patch.add("MatMul", "narrowed", data, patch.constant("narrowed.weight", narrowing))
    has_bias = last.op_type == "Gemm" and len(last.input) > 2 and bool(last.input[2])
    kept = "" if has_bias else last.output[0]
    data = patch.add("ReduceSum", "sum", data, patch.integers("sum.axes", 0), gives=kept, keepdims=int(has_batch))
    if has_bias:
        patch.add("Add", "residual", data, last.input[2], gives=last.output[0])
