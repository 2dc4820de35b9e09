"""Pass: put QuantizeLinear and DequantizeLinear around products, as TensorRT's explicit quantisation reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.inliner
import onnx.version_converter
from onnx import NodeProto, helper, numpy_helper

from detrt.errors import GraphError
from detrt.graph import ops
from detrt.graph.index import GraphIndex, key_of, set_input
from detrt.graph.passes import PassResult

Array = npt.NDArray[Any]

OPSET = 19  # the first with 8-bit floats and with scales of half precision


@dataclass(frozen=True)
class QuantizedWeight:
    """The codes of a constant (int8 or float8) and the scale (float32) of each slice along `axis`."""

    codes: Array
    scales: Array
    axis: int


@dataclass(frozen=True)
class InsertQuantizers:
    """A pass that quantises inputs of nodes. Weights are stored as codes, so the file shrinks to a quarter.

    Every activation gets one pair of nodes however many products read it: they then read the same codes, and TensorRT
    quantises it once, in the kernel that makes it. A weight has codes for each product that reads it, since they are
    rounded for what that one multiplies it with. Readers that are not named keep the float tensor.

    Attributes:
        onnx_type: element type of the codes.
        scales: float32 scale of each activation tensor, symmetric (zero point 0); a vector has one an axis-1 slice.
        inputs: (node key, slot) of each activation input to quantise.
        weights: (node key, slot) of each constant input to quantise, and what with.
        biases: replaces the constant (node key, slot).
    """

    onnx_type: int
    scales: Mapping[str, Array]
    inputs: frozenset[tuple[str, int]]
    weights: Mapping[tuple[str, int], QuantizedWeight]
    biases: Mapping[tuple[str, int], Array] = field(default_factory=dict)

    def __call__(self, model: onnx.ModelProto) -> PassResult:
        """Insert them; see `Pass`.

        Raises:
            GraphError: the graph is quantised already, or an input to quantise has no scale.
        """
        refuse_quantized(model)
        if not self.inputs and not self.weights:
            return PassResult(model, False)
        graph = GraphIndex(at_opset(model, OPSET))
        builder = _Builder(graph, self.onnx_type)
        nodes: list[NodeProto] = []
        for node in graph.nodes:
            key = key_of(node) if any(node.output) else ""
            for slot in range(max(len(node.input), 3)):
                name = node.input[slot] if slot < len(node.input) else ""
                if (key, slot) in self.inputs:
                    if name not in self.scales:
                        raise GraphError(f"There is no scale for the tensor {name}.", "Calibrate this model again.")
                    node.input[slot] = builder.activation(name, self.scales[name], nodes)
                elif (key, slot) in self.weights:
                    node.input[slot] = builder.weight(f"{key}/weight/{slot}", self.weights[key, slot], nodes)
                elif (key, slot) in self.biases:
                    set_input(node, slot, builder.constant(f"{key}/corrected/{slot}", self.biases[key, slot]))
            nodes.append(node)
        return PassResult(_assembled(graph.model, nodes), True)


def refuse_quantized(model: onnx.ModelProto) -> None:
    """Make sure that nobody has quantised the graph yet.

    Raises:
        GraphError: it holds quantisers or integer products.
    """
    found = [
        node
        for node in model.graph.node
        if node.op_type in ops.QUANTIZERS
        or node.op_type.endswith(("Integer", "DynamicQuantizeLinear"))
        or node.op_type.startswith("QLinear")
    ]
    if found:
        raise GraphError(
            f"The graph is quantised already: {len(found)} nodes such as {found[0].op_type} {found[0].name}.",
            "Start from the float32 export; quantisation is put in once.",
        )


def at_opset(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """The model at the standard opset `version`, or as it is where its own is as high.

    Its functions are inlined, since the converter drops them.
    """
    own = next((item.version for item in model.opset_import if ops.is_standard(item.domain)), 0)
    if own >= version:
        return model
    try:
        flat = onnx.inliner.inline_local_functions(model) if model.functions else model
        return onnx.version_converter.convert_version(flat, version)
    except Exception as error:  # the converter raises RuntimeError and its own types alike
        raise GraphError(
            f"The graph has opset {own}, and cannot be converted to {version}: {error}.",
            f"Export it with opset {version}.",
        ) from error


class _Builder:
    """Makes what nodes read in place of float tensors, and puts it before the first node that needs it."""

    def __init__(self, graph: GraphIndex, onnx_type: int) -> None:
        self._graph, self._type = graph, onnx_type
        self._done: dict[str, str] = {}

    def activation(self, name: str, scale: Array, nodes: list[NodeProto]) -> str:
        if name not in self._done:
            constants = [self.constant(f"{name}/scale", np.asarray(scale, np.float32)), self._zero(name, scale.shape)]
            for kind, source, result in (
                ("QuantizeLinear", name, f"{name}/codes"),
                ("DequantizeLinear", f"{name}/codes", f"{name}/rounded"),
            ):
                node = helper.make_node(kind, [source, *constants], [result], name=f"{result}/{kind}")
                if scale.ndim:
                    node.attribute.append(helper.make_attribute("axis", 1))
                nodes.append(node)
            self._done[name] = f"{name}/rounded"
        return self._done[name]

    def weight(self, name: str, weight: QuantizedWeight, nodes: list[NodeProto]) -> str:
        constants = [
            self.constant(f"{name}/codes", weight.codes),
            self.constant(f"{name}/scale", weight.scales),
            self._zero(name, weight.scales.shape),
        ]
        rounded = f"{name}/rounded"
        nodes.append(
            helper.make_node("DequantizeLinear", constants, [rounded], name=f"{name}/dequantize", axis=weight.axis)
        )
        return rounded

    def constant(self, name: str, value: Array) -> str:
        if name not in self._done:
            self._graph.model.graph.initializer.append(numpy_helper.from_array(value, name))
            self._done[name] = name
        return name

    def _zero(self, name: str, shape: tuple[int, ...]) -> str:
        count = 1
        for side in shape:
            count *= side
        self._graph.model.graph.initializer.append(helper.make_tensor(f"{name}/zero", self._type, shape, [0] * count))
        return f"{name}/zero"


def _assembled(model: onnx.ModelProto, nodes: list[NodeProto]) -> onnx.ModelProto:
    """The model with these nodes, without the constants that nothing reads any more."""
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input} | {value.name for value in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model
