"""Recognises a linear layer on INT8 codes, in the shapes that exporters and simplifiers give it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, helper, numpy_helper

Array = npt.NDArray[Any]


_SHAPING = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Cast"})


@dataclass(frozen=True, eq=False)
class QuantizedLinear:
    """`dequantised(codes) @ dequantised(weight).T + bias`.

    Attributes:
        codes: int8 tensor (..., K), the input.
        reads: what makes two linears read the same codes: the float tensor before its quantiser, scale and zero point;
            without a quantiser, the codes themselves.
        input_scale, input_zero: float32 and int8, shape (1,).
        weight: int8 (O, K). weight_scale, weight_zero: float32 and int8, (O,).
        bias: float32 (O,).
        output: float32 tensor (..., O).
        place: number of the node that gives the output.
    """

    codes: str
    reads: tuple[str, bytes, bytes]
    input_scale: Array
    input_zero: Array
    weight: Array
    weight_scale: Array
    weight_zero: Array
    bias: Array
    output: str
    place: int


def quantized_linears(graph: Links) -> Iterator[QuantizedLinear]:
    """Every INT8 linear layer of the graph, in order.

    Found: `Gemm`, or `MatMul` and `Add`, of a DequantizeLinear and of constant weights behind a DequantizeLinear, with
    or without their own QuantizeLinear, transposed before or after, with one scale or one for each output.
    """
    for number, node in enumerate(graph.nodes):
        if node.op_type == "MatMul":
            found = _from_matmul(graph, node)
        elif node.op_type == "Gemm" and _plain(node):
            found = _linear(graph, node, node.input[2] if len(node.input) > 2 else "", number)
        else:
            continue
        if found is not None:
            yield found


class Links:
    """The nodes of a graph, who makes and who reads each tensor, and its constants."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self._initializers = model.graph.initializer
        self.makers = {name: number for number, node in enumerate(self.nodes) for name in node.output if name}
        self.readers: dict[str, list[int]] = {}
        for number, node in enumerate(self.nodes):
            for name in node.input:
                self.readers.setdefault(name, []).append(number)

    def maker(self, name: str) -> NodeProto | None:
        """The node that computes a tensor, if one does."""
        return self.nodes[self.makers[name]] if name in self.makers else None

    def constant(self, name: str) -> Array | None:
        """A constant's value."""
        tensor = self._constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def dequantizer(self, name: str) -> NodeProto | None:
        """The DequantizeLinear that gives a tensor, as it is or transposed behind it."""
        node = self.maker(name)
        if node is not None and node.op_type == "Transpose":
            node = self.maker(node.input[0])
        return node if node is not None and node.op_type == "DequantizeLinear" else None

    def ends_in_softmax(self, name: str) -> bool:
        """Whether a softmax reads the tensor, perhaps once it has another shape."""
        pending = [name]
        while pending:
            for number in self.readers.get(pending.pop(), ()):
                node = self.nodes[number]
                if node.op_type == "Softmax":
                    return True
                if node.op_type in _SHAPING:
                    pending.append(node.output[0])
        return False

    @cached_property
    def _constants(self) -> Mapping[str, onnx.TensorProto]:
        found = {tensor.name: tensor for tensor in self._initializers}
        for node in self.nodes:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                found[node.output[0]] = node.attribute[0].t
        return found


def _from_matmul(graph: Links, node: NodeProto) -> QuantizedLinear | None:
    readers = graph.readers.get(node.output[0], [])
    if len(readers) != 1 or graph.nodes[readers[0]].op_type != "Add":
        return None
    add = graph.nodes[readers[0]]
    bias = add.input[1] if add.input[0] == node.output[0] else add.input[0]
    return _linear(graph, node, bias, readers[0])


def _linear(graph: Links, product: NodeProto, bias_name: str, place: int) -> QuantizedLinear | None:
    dequantize, bias = graph.maker(product.input[0]), graph.constant(bias_name)
    if dequantize is None or dequantize.op_type != "DequantizeLinear" or bias is None or bias.ndim != 1:
        return None
    scale, zero = _scaling(graph, dequantize)
    weight = _weight(graph, product.input[1], transposed=_flag(product, "transB"))
    if scale is None or scale.size != 1 or zero.dtype != np.int8 or weight is None or len(bias) != len(weight[0]):
        return None
    codes = dequantize.input[0]
    quantize = graph.maker(codes)
    source = quantize.input[0] if quantize is not None and quantize.op_type == "QuantizeLinear" else codes
    return QuantizedLinear(
        codes=codes,
        reads=(source, scale.tobytes(), zero.tobytes()),
        input_scale=scale.reshape(1),
        input_zero=zero.reshape(1),
        weight=weight[0],
        weight_scale=weight[1],
        weight_zero=weight[2],
        bias=bias.astype(np.float32),
        output=graph.nodes[place].output[0],
        place=place,
    )


def _weight(graph: Links, name: str, *, transposed: bool) -> tuple[Array, Array, Array] | None:
    """Codes (O, K), scales (O,) and zero points (O,) of a constant weight that a product reads under this name."""
    node = graph.maker(name)
    if node is not None and node.op_type == "Transpose":
        transposed, node = not transposed, graph.maker(node.input[0])
    if node is None or node.op_type != "DequantizeLinear":
        return None
    scale, zero = _scaling(graph, node)
    codes = graph.constant(node.input[0])
    quantize = graph.maker(node.input[0])
    if codes is None and quantize is not None and quantize.op_type == "QuantizeLinear":
        codes = _quantized(graph, quantize)
    if codes is None or codes.dtype != np.int8 or zero.dtype != np.int8 or codes.ndim != 2 or scale is None:
        return None
    axis = _axis(node)
    outputs = 0 if transposed else 1
    if scale.size > 1 and axis != outputs:
        return None
    codes = np.ascontiguousarray(codes if transposed else codes.T)
    spread = np.broadcast_to(scale.reshape(-1), (len(codes),)), np.broadcast_to(zero.reshape(-1), (len(codes),))
    return codes, np.array(spread[0], np.float32), np.array(spread[1], np.int8)


def _quantized(graph: Links, node: NodeProto) -> Array | None:
    """What a QuantizeLinear makes of a constant: half to even, saturated."""
    values = graph.constant(node.input[0])
    scale, zero = _scaling(graph, node)
    if values is None or scale is None or zero.dtype != np.int8:
        return None
    shape = [1] * values.ndim
    if scale.size > 1:
        shape[_axis(node)] = scale.size
    rounded = np.round(values / scale.reshape(shape)) + zero.astype(np.float32).reshape(shape if zero.size > 1 else [])
    return np.clip(rounded, -128, 127).astype(np.int8)


def _scaling(graph: Links, node: NodeProto) -> tuple[Array | None, Array]:
    """Scale and zero point; the operators' default zero point is an unsigned 0."""
    scale = graph.constant(node.input[1])
    zero = graph.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    return scale, np.zeros((), np.uint8) if zero is None else zero


def _axis(node: NodeProto) -> int:
    """Of a two-dimensional weight."""
    axis = next((int(item.i) for item in node.attribute if item.name == "axis"), 1)
    return axis % 2


def _plain(node: NodeProto) -> bool:
    """Whether a Gemm is a linear layer and nothing more."""
    values = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    return values.get("alpha", 1.0) == 1.0 and values.get("beta", 1.0) == 1.0 and not values.get("transA", 0)


def _flag(node: NodeProto, name: str) -> bool:
    return any(item.name == name and item.i for item in node.attribute)
