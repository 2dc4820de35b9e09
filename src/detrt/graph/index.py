"""An ONNX graph as a precision decision needs it: who makes a tensor, who reads it, which are float32."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import onnx
import onnx.inliner
from onnx import AttributeProto, NodeProto, TensorProto

from detrt.errors import GraphError
from detrt.graph.fold_constants import fold_constants
from detrt.graph.static_shapes import CONSTANTS_APART

_NARROW_TYPES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)


@dataclass(frozen=True)
class Use:
    """Input number `slot` of node number `node`."""

    node: int
    slot: int


class GraphIndex:
    """One flat float32 graph and its tensors. It holds a copy of the model that its owner may edit.

    Model functions are inlined, and `Constant` nodes and what is computed from constants alone become initialisers, so
    that every constant is found in one place.

    Raises:
        GraphError: the graph has branches or loops.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = _flattened(model)
        self.nodes = list(self.model.graph.node)
        self.constants = {tensor.name: tensor for tensor in self.model.graph.initializer}
        self._types = _tensor_types(self.model)
        self.inputs = [value.name for value in self.model.graph.input]
        self.outputs = [value.name for value in self.model.graph.output]

    def refuse_narrow(self) -> None:
        """Make sure that no tensor has half precision yet.

        Raises:
            GraphError: some have.
        """
        narrow = [name for name, (kind, _) in self._types.items() if kind in _NARROW_TYPES]
        if narrow:
            raise GraphError(
                f"The graph holds half-precision tensors already, {narrow[0]} and {len(narrow) - 1} more.",
                "Start from the float32 export; precision is put in once. As it is, it builds with --precision fp32.",
            )

    @cached_property
    def producer(self) -> dict[str, int]:
        """Number of the node that makes a tensor."""
        return {name: number for number, node in enumerate(self.nodes) for name in node.output if name}

    @cached_property
    def uses(self) -> dict[str, list[Use]]:
        """Every node input that reads a tensor."""
        found: dict[str, list[Use]] = {}
        for number, node in enumerate(self.nodes):
            for slot, name in enumerate(node.input):
                if name:
                    found.setdefault(name, []).append(Use(number, slot))
        return found

    def is_float(self, name: str) -> bool:
        """Whether the tensor is float32."""
        return bool(name) and self._types.get(name, (0, None))[0] == TensorProto.FLOAT

    def element_count(self, name: str) -> int | None:
        """Elements of a tensor whose shape is known; dynamic axes count as one."""
        shape = self._shape(name)
        return None if shape is None else prod(max(axis, 1) for axis in shape)

    def rank(self, name: str) -> int | None:
        """Number of axes, where it is known."""
        shape = self._shape(name)
        return None if shape is None else len(shape)

    def side(self, name: str, axis: int) -> int:
        """Length of a tensor along an axis; 0 where it is dynamic or unknown."""
        shape = self._shape(name)
        return shape[axis] if shape is not None and axis < len(shape) else 0

    def float_inputs(self, node: NodeProto) -> list[str]:
        """The float32 tensors that a node reads, constants included."""
        return [name for name in node.input if self.is_float(name)]

    def float_outputs(self, node: NodeProto) -> list[str]:
        """The float32 tensors that a node makes."""
        return [name for name in node.output if self.is_float(name)]

    def computes_floats(self, node: NodeProto) -> bool:
        """Whether any float32 tensor goes in or comes out."""
        return any(self.is_float(name) for name in (*node.input, *node.output))

    def _shape(self, name: str) -> tuple[int, ...] | None:
        return self._types.get(name, (0, None))[1]


def key_of(node: NodeProto) -> str:
    """What a node is known by in reports and files: its first output, which is unique where names need not be."""
    return next(name for name in node.output if name)


def set_input(node: NodeProto, slot: int, name: str) -> None:
    """Make a tensor the node's input number `slot`, which may be the first that it lacks."""
    node.input[:] = [*node.input[:slot], name, *node.input[slot + 1 :]]


def attribute(node: NodeProto, name: str) -> AttributeProto | None:
    """The node's attribute of that name, if it has one."""
    return next((item for item in node.attribute if item.name == name), None)


def _flattened(model: onnx.ModelProto) -> onnx.ModelProto:
    if model.functions:
        flat = onnx.inliner.inline_local_functions(model)
    else:
        flat = onnx.ModelProto()
        flat.CopyFrom(model)
    for node in flat.graph.node:
        if any(item.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for item in node.attribute):
            raise GraphError(
                f"The node {node.name or key_of(node)} ({node.op_type}) holds a graph of its own.",
                "Export the model without control flow (a fixed input size usually suffices).",
            )
    constants = {tensor.name for tensor in flat.graph.initializer}
    fed = [value for value in flat.graph.input if value.name not in constants]  # old files list constants as inputs too
    del flat.graph.input[:]
    flat.graph.input.extend(fed)
    flat.ir_version = max(flat.ir_version, CONSTANTS_APART)
    kept = [node for node in flat.graph.node if not _is_constant(node)]
    flat.graph.initializer.extend(_constant_of(node) for node in flat.graph.node if _is_constant(node))
    del flat.graph.node[:]
    flat.graph.node.extend(kept)
    return fold_constants(flat).model


def _is_constant(node: NodeProto) -> bool:
    return node.op_type == "Constant" and bool(node.attribute) and node.attribute[0].name in _CONSTANT_TYPES


_CONSTANT_TYPES = {
    "value": None,
    "value_float": TensorProto.FLOAT,
    "value_floats": TensorProto.FLOAT,
    "value_int": TensorProto.INT64,
    "value_ints": TensorProto.INT64,
}


def _constant_of(node: NodeProto) -> TensorProto:
    item = node.attribute[0]
    kind = _CONSTANT_TYPES[item.name]
    if kind is None:
        tensor = TensorProto()
        tensor.CopyFrom(item.t)
        tensor.name = node.output[0]
        return tensor
    value = onnx.helper.get_attribute_value(item)
    dims, values = ((len(value),), value) if item.name.endswith("s") else ((), [value])
    return onnx.helper.make_tensor(node.output[0], kind, dims, values)


def _tensor_types(model: onnx.ModelProto) -> dict[str, tuple[int, tuple[int, ...] | None]]:
    """Element type and shape (0 for a dynamic axis) of every tensor; a custom node's outputs count as float32."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    types: dict[str, tuple[int, tuple[int, ...] | None]] = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        shape = tuple(axis.dim_value for axis in tensor.shape.dim) if tensor.HasField("shape") else None
        types[value.name] = (tensor.elem_type, shape)
    types.update({tensor.name: (tensor.data_type, tuple(tensor.dims)) for tensor in graph.initializer})
    for node in graph.node:
        for name in node.output:
            if name and not types.get(name, (0, None))[0]:
                types[name] = (TensorProto.FLOAT, None)
    return types
