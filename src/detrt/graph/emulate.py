"""The numbers of a narrow graph on any CPU: float32 arithmetic, rounded after each node as the types say.

ONNX Runtime's CPU has hardly any FP16 kernel and no BF16 one. Given such a graph, it computes in float32 and leaves out
the roundings in between, so its AP says little about an engine's. Here the roundings are nodes, and stay.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from detrt.graph import ops
from detrt.graph.retype import ONNX_TYPES

_NARROW = frozenset(ONNX_TYPES.values())


def emulated(model: onnx.ModelProto) -> onnx.ModelProto:
    """A float32 model that rounds every tensor which `model` holds in FP16 or BF16 to that type.

    Sums inside a node are float32, as in tensor cores. Inputs and outputs keep their names; those that are narrow
    become float32.
    """
    types = _types(model)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    constants = [_widened(tensor) for tensor in graph.initializer]
    nodes: list[NodeProto] = []
    for node in graph.node:
        nodes += _rounded(node, types)
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type in _NARROW:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    return copy


def _rounded(node: NodeProto, types: dict[str, int]) -> list[NodeProto]:
    """The node in float32, and the rounding of what it makes."""
    narrow = [name for name in node.output if types.get(name) in _NARROW]
    for item in node.attribute:
        if item.name == "to" and item.i in _NARROW:
            item.i = TensorProto.FLOAT
        elif item.name == "value" and item.t.data_type in _NARROW:
            item.t.CopyFrom(_widened(item.t))
    if node.op_type in ops.CARRIERS or not narrow:
        return [node]
    made = [node]
    for slot, name in enumerate(node.output):
        if name in narrow:
            node.output[slot] = f"{name}/exact"
            made.append(helper.make_node("Cast", [f"{name}/exact"], [f"{name}/rounded"], to=types[name]))
            made.append(helper.make_node("Cast", [f"{name}/rounded"], [name], to=TensorProto.FLOAT))
    return made


def _widened(tensor: TensorProto) -> TensorProto:
    if tensor.data_type not in _NARROW:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)


def _types(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info, *graph.output)}
