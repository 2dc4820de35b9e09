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
        axis: the axis of the weight that counts output channels.
        depthwise: a convolution of every channel alone, which costs little and rounds badly.
        macs: multiply-accumulates for one image; 0 where the shapes are unknown.
    """

    key: str
    node: int
    name: str
    op: str
    activations: tuple[str, ...]
    weight: str | None
    axis: int
    depthwise: bool
    macs: int


def find_products(graph: GraphIndex) -> tuple[Product, ...]:
    """Every product that can be quantised, in the graph's order.

    A matrix product with a constant vector (the expectation over D-FINE's distance bins) is none: it has no output
    channels to scale. Neither is one whose constant comes first.
    """
    shapes = static_shapes(graph.model)
    found = (_product(number, node, graph, shapes) for number, node in enumerate(graph.nodes))
    return tuple(product for product in found if product is not None)


def _product(number: int, node: onnx.NodeProto, graph: GraphIndex, shapes: Mapping[str, Shape]) -> Product | None:
    if node.op_type not in QUANTIZABLE or not all(graph.is_float(name) for name in node.input[:2]):
        return None
    left, right = node.input[:2]
    weight = right if right in graph.constants else None
    dims = tuple(graph.constants[right].dims) if weight else ()
    if left in graph.constants or (weight and len(dims) < 2):
        return None
    group = attribute(node, "group")
    return Product(
        key=key_of(node),
        node=number,
        name=node.name or key_of(node),
        op=node.op_type,
        activations=(left,) if weight else (left, right),
        weight=weight,
        axis=_channel_axis(node, len(dims)),
        depthwise=group is not None and group.i > 1 and group.i == dims[0],
        macs=node_macs(node, shapes) or 0,
    )


def _channel_axis(node: onnx.NodeProto, rank: int) -> int:
    """Where the output channels lie in the weight."""
    match node.op_type:
        case "Conv":
            return 0
        case "ConvTranspose":
            return 1
        case "Gemm":
            transposed = attribute(node, "transB")
            return 0 if transposed is not None and transposed.i else 1
        case _:
            return rank - 1 if rank else 0
