"""The products of a graph (convolutions, matrix products): what a quantiser can make narrow, and what each costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from detrt.graph.index import GraphIndex, attribute, key_of
from detrt.graph.macs import node_macs
from detrt.graph.static_shapes import Shape, static_shapes

QUANTIZABLE = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class Product:
    """One convolution or matrix product.

    Attributes:
        key: its output tensor, which names it in plans, tables and files.
        node: its number in the graph.
        name: the node's own name, for people; the key where it has none.
        op: the ONNX operator.
        activations: the tensors that it reads and the network computes: one, or two in a product of two activations.
        weight: the constant that it multiplies with, if any; always input 1.
        kernel: the weight's shape, (rows, columns) where it is a matrix product's; () where there is none.
        axis: the axis of the kernel that counts output channels.
        depthwise: a convolution of every channel alone, which costs little and rounds badly.
        macs: multiply-accumulates for one image; 0 where the shapes are unknown.
    """

    key: str
    node: int
    name: str
    op: str
    activations: tuple[str, ...]
    weight: str | None
    kernel: tuple[int, ...]
    axis: int
    depthwise: bool
    macs: int


def find_products(graph: GraphIndex) -> tuple[Product, ...]:
    """Every product that can be quantised, in the graph's order.

    A matrix product with a constant vector (the expectation over D-FINE's distance bins) is none: it has no output
    channels to scale. Neither is one with a batch of matrices, or one whose constant comes first.
    """
    shapes = static_shapes(graph.model)
    found = (_product(number, node, graph, shapes) for number, node in enumerate(graph.nodes))
    return tuple(product for product in found if product is not None)


def _product(number: int, node: onnx.NodeProto, graph: GraphIndex, shapes: Mapping[str, Shape]) -> Product | None:
    if node.op_type not in QUANTIZABLE or not all(graph.is_float(name) for name in node.input[:2]):
        return None
    left, right = node.input[:2]
    weight = right if right in graph.constants else None
    kernel = _kernel(node, tuple(graph.constants[right].dims), shapes) if weight else ()
    if left in graph.constants or kernel is None:
        return None
    group = attribute(node, "group")
    return Product(
        key=key_of(node),
        node=number,
        name=node.name or key_of(node),
        op=node.op_type,
        activations=(left,) if weight else (left, right),
        weight=weight,
        kernel=kernel,
        axis=_channel_axis(node),
        depthwise=group is not None and group.i > 1 and group.i in kernel[:1],
        macs=node_macs(node, shapes) or 0,
    )


def _kernel(node: onnx.NodeProto, dims: tuple[int, ...], shapes: Mapping[str, Shape]) -> tuple[int, ...] | None:
    """The shape that a constant counts as; None where it is no kernel and no matrix."""
    if node.op_type == "MatMul" and len(shapes.get(node.input[0], ())) >= len(dims):
        while len(dims) > 2 and dims[0] == 1:  # the axes that are left out are the input's own
            dims = dims[1:]
    fits = len(dims) == 2 if node.op_type in ("Gemm", "MatMul") else len(dims) > 2
    return dims if fits else None


def _channel_axis(node: onnx.NodeProto) -> int:
    """Where the output channels lie in the weight."""
    match node.op_type:
        case "Conv":
            return 0
        case "Gemm":
            transposed = attribute(node, "transB")
            return 0 if transposed is not None and transposed.i else 1
        case _:
            return 1
