"""Pass: take the Q/DQ pairs away from some products, so that they compute in floating point again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

from detrt.errors import GraphError
from detrt.graph.passes import PassResult
from detrt.graph.quantized_linear import Links
from detrt.graph.unread import drop_unread


@dataclass(frozen=True)
class Unquantize:
    """A pass. Weights that are stored as codes are stored as the floats that the codes stand for.

    Attributes:
        outputs: names of what the products give: of the node itself, or of the Add behind it.
    """

    outputs: Collection[str]

    def __call__(self, model: onnx.ModelProto) -> PassResult:
        """Feed the products from before their quantisers; unchanged where none is quantised.

        Raises:
            GraphError: a name is no product's.
        """
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        graph = Links(copy)
        products = [self._product(graph, name) for name in self.outputs]
        changed = [
            _freed(graph, copy.graph, node, slot) for node in products for slot in range(min(2, len(node.input)))
        ]
        if not any(changed):
            return PassResult(model, changed=False)
        drop_unread(copy.graph)
        return PassResult(copy, changed=True)

    @staticmethod
    def _product(graph: Links, name: str) -> NodeProto:
        node = graph.maker(name)
        if node is not None and node.op_type == "Add":
            makers = [graph.maker(source) for source in node.input]
            node = next((maker for maker in makers if maker is not None and maker.op_type == "MatMul"), None)
        if node is None or node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            raise GraphError(f"{name} is no product's output.", "Name what a Conv, Gemm or MatMul gives.")
        return node


def quantized_products(model: onnx.ModelProto) -> list[str]:
    """What `Unquantize` can be given: outputs of the products that read a DequantizeLinear, in the graph's order."""
    graph = Links(model)
    return [
        node.output[0]
        for node in graph.nodes
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")
        and any(graph.dequantizer(name) is not None for name in node.input[:2])
    ]


def _freed(graph: Links, proto: onnx.GraphProto, node: NodeProto, slot: int) -> bool:
    """Let one input be the float tensor; whether it was another."""
    name = node.input[slot]
    turned = graph.maker(name)
    if turned is not None and turned.op_type == "Transpose":  # weights, transposed behind their codes
        free = _float_of(graph, proto, turned.input[0])
        if free is None:
            return False
        copy = NodeProto()
        copy.CopyFrom(turned)
        copy.name, copy.input[0], copy.output[0] = f"{turned.name}/float", free, f"{name}/float/{slot}/{node.output[0]}"
        at = next(index for index, each in enumerate(proto.node) if each.output[:1] == turned.output[:1])
        proto.node.insert(at, copy)
        node.input[slot] = copy.output[0]
        return True
    free = _float_of(graph, proto, name)
    if free is None:
        return False
    node.input[slot] = free
    return True


def _float_of(graph: Links, proto: onnx.GraphProto, name: str) -> str | None:
    """The float tensor that a dequantised one was before; a new constant where only its codes are there."""
    dequantize = graph.dequantizer(name)
    if dequantize is None:
        return None
    quantize = graph.maker(dequantize.input[0])
    if quantize is not None and quantize.op_type == "QuantizeLinear":
        return quantize.input[0]
    codes, scale = graph.constant(dequantize.input[0]), graph.constant(dequantize.input[1])
    if codes is None or scale is None:
        return None
    zero = graph.constant(dequantize.input[2]) if len(dequantize.input) > 2 else np.zeros((), np.int8)
    assert zero is not None
    axis = next((int(item.i) for item in dequantize.attribute if item.name == "axis"), 1)
    shape = [1] * codes.ndim
    if scale.size > 1:
        shape[axis] = scale.size
    value = (codes.astype(np.float32) - zero.astype(np.float32).reshape(shape if zero.size > 1 else [])) * (
        scale.astype(np.float32).reshape(shape if scale.size > 1 else [])
    )
    made = f"{name}/float"
    if not any(tensor.name == made for tensor in proto.initializer):
        proto.initializer.append(numpy_helper.from_array(value, made))
    return made
