"""A product's weight as a matrix, and what the product sees of its input as rows to multiply with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, numpy_helper

from detrt.graph.index import GraphIndex, attribute, key_of
from detrt.graph.products import Product

Array = npt.NDArray[Any]


def weight_of(graph: GraphIndex, product: Product) -> Array:
    """The constant that the product multiplies with, in the shape of its kernel."""
    assert product.weight
    return np.asarray(numpy_helper.to_array(graph.constants[product.weight])).reshape(product.kernel)


def as_matrix(weight: Array, product: Product, groups: int) -> Array:
    """(groups, outputs of a group, columns): each row makes one output channel from the patches of `patches_of`."""
    rows = weight if product.op == "Conv" else np.moveaxis(weight, product.axis, 0)
    return rows.reshape(groups, rows.shape[0] // groups, -1)


def as_weight(matrix: Array, product: Product) -> Array:
    """The inverse of `as_matrix`."""
    shape = product.kernel
    if product.op == "Conv":
        return matrix.reshape(shape)
    moved = (shape[product.axis], *(side for axis, side in enumerate(shape) if axis != product.axis))
    return np.ascontiguousarray(np.moveaxis(matrix.reshape(moved), 0, product.axis))


def can_be_sampled(node: NodeProto, product: Product) -> bool:
    """Whether the product is a plain matrix product of patches: no transposed convolution, none of rows or volumes.

    Nor a Gemm that scales its sums, since its bias is of another scale then.
    """
    auto, transposed, alpha = (attribute(node, name) for name in ("auto_pad", "transA", "alpha"))
    return bool(
        len(product.kernel) == (4 if product.op == "Conv" else 2)
        and (auto is None or auto.s == b"NOTSET")
        and (transposed is None or not transposed.i)
        and (alpha is None or alpha.f == 1)
    )


def patches_of(value: Array, node: NodeProto, kernel: tuple[int, ...], rng: np.random.Generator, count: int) -> Array:
    """What the product multiplies its weight with at up to `count` random positions.

    Args:
        value: the input, (1, channels, height, width) for a convolution, else (..., columns).
        node: the product's node.
        kernel: shape of its weight.
        rng: picks the positions.
        count: how many.

    Returns:
        rows: (groups, positions, columns) float32.
    """
    if node.op_type != "Conv":
        tokens = value.reshape(1, -1, value.shape[-1])
        return np.asarray(tokens[:, rng.permutation(tokens.shape[1])[:count]])
    window = kernel[2:]
    stride, dilation = _ints(node, "strides", [1, 1]), _ints(node, "dilations", [1, 1])
    top, left, bottom, right = _ints(node, "pads", [0, 0, 0, 0])
    padded = np.pad(value[0], ((0, 0), (top, bottom), (left, right)))
    extent = [
        (side - (taps - 1) * step - 1) // jump + 1
        for side, taps, step, jump in zip(padded.shape[1:], window, dilation, stride, strict=True)
    ]
    picked = rng.permutation(extent[0] * extent[1])[:count]
    rows, columns = picked // extent[1] * stride[0], picked % extent[1] * stride[1]
    taps = [
        padded[:, rows + down * dilation[0], columns + across * dilation[1]]
        for down in range(window[0])
        for across in range(window[1])
    ]
    groups = (item.i if (item := attribute(node, "group")) is not None else 1) or 1
    stacked = np.stack(taps, -1).reshape(groups, -1, len(picked), len(taps))  # group, channel, position, tap
    return stacked.transpose(0, 2, 1, 3).reshape(groups, len(picked), -1)


def bias_of(graph: GraphIndex, product: Product) -> tuple[str, int] | None:
    """Where the product's bias is added, as (node key, slot): its own third input, or a constant of the next Add.

    A convolution without a bias gets one in that slot. None where a matrix product is followed by something else.
    """
    if product.op in ("Conv", "Gemm"):
        return product.key, 2
    uses = graph.uses.get(product.key, [])
    if len(uses) != 1 or product.key in graph.outputs:
        return None
    after = graph.nodes[uses[0].node]
    if after.op_type != "Add":
        return None
    slot = 1 - uses[0].slot
    return (key_of(after), slot) if after.input[slot] in graph.constants else None


def bias_value(graph: GraphIndex, place: tuple[str, int], channels: int) -> Array | None:
    """The bias at `place`, zeros where a convolution has none; None where it is no vector of one number a channel."""
    node = graph.nodes[graph.producer[place[0]]]
    name = node.input[place[1]] if place[1] < len(node.input) else ""
    if not name:
        return np.zeros(channels, np.float32)
    if name not in graph.constants:
        return None
    value = np.asarray(numpy_helper.to_array(graph.constants[name]))
    scaled = (item := attribute(node, "beta")) is not None and item.f != 1
    is_row = value.size == channels and value.shape[-1:] in ((channels,), ())
    return value if is_row and not scaled else None


def bias_with(graph: GraphIndex, product: Product, more: Array) -> tuple[tuple[str, int], Array] | None:
    """Where the product's bias is, and what it becomes with `more`, (outputs,), added; None where it has no place."""
    place = bias_of(graph, product)
    value = bias_value(graph, place, more.size) if place else None
    return None if place is None or value is None else (place, (value + more.reshape(value.shape)).astype(np.float32))


def _ints(node: NodeProto, name: str, otherwise: list[int]) -> list[int]:
    item = attribute(node, name)
    return list(item.ints) if item is not None else otherwise
