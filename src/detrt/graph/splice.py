"""New nodes in the place of old ones: what the rewrites of the engine form share."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, NodeProto, helper, numpy_helper

from detrt.graph.index import GraphIndex, attribute, key_of
from detrt.graph.passes import PassResult
from detrt.graph.static_shapes import Array, Shape, static_shapes
from detrt.graph.unread import drop_unread

LEAST_OPSET = 13  # from here on, axes of Unsqueeze and ReduceSum and sizes of Split are inputs


class Splice:
    """A model whose shapes are all fixed, taken apart to be changed; the model itself stays as it is.

    Use `splice_of` to make one, `patch` to put nodes in a node's place, `result` to put all together again.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._index = GraphIndex(_without_functions(model))
        self._shapes = static_shapes(model)
        self._names = Counter(node.name for node in self.nodes)
        self._taken = {*self._names, *self._index.constants, *self._index.producer, *self._index.inputs}
        self._patches: dict[int, Patch] = {}
        self._dropped: set[int] = set()

    @property
    def nodes(self) -> list[NodeProto]:
        """The nodes as they were, in order of execution."""
        return self._index.nodes

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The tensor's shape, where every axis is known."""
        shape: Shape = self._shapes.get(name, (None,))
        known = tuple(axis for axis in shape if axis is not None)
        return known if len(known) == len(shape) else None

    def constant(self, name: str) -> Array | None:
        """The tensor's value, where it is a constant of the graph."""
        tensor = self._index.constants.get(name)
        return None if tensor is None else np.asarray(numpy_helper.to_array(tensor))

    def maker(self, name: str) -> NodeProto | None:
        """The node that makes the tensor."""
        number = self._index.producer.get(name)
        return None if number is None else self.nodes[number]

    def readers(self, name: str) -> list[tuple[NodeProto, int]]:
        """Nodes that read the tensor, and as which of their inputs."""
        return [(self.nodes[use.node], use.slot) for use in self._index.uses.get(name, ())]

    def only_reader(self, name: str) -> NodeProto | None:
        """The node that alone reads the tensor; None where several do, or where it is an output of the graph."""
        readers = self.readers(name)
        return readers[0][0] if len(readers) == 1 and name not in self._index.outputs else None

    def is_output(self, name: str) -> bool:
        """Whether the graph gives the tensor to its caller."""
        return name in self._index.outputs

    def is_quantized(self, node: NodeProto) -> bool:
        """Whether it computes on dequantised numbers: then a builder has an integer kernel in mind for it."""
        return any(
            (maker := self.maker(name)) is not None and maker.op_type == "DequantizeLinear" for name in node.input
        )

    def patch(self, node: NodeProto) -> Patch:
        """Nodes that take this one's place. They may read whatever it could, and shall make what it makes."""
        number = self._index.producer[key_of(node)]
        base = node.name if node.name and self._names[node.name] == 1 else key_of(node)
        self._patches[number] = Patch(base, self._taken)
        return self._patches[number]

    def drop(self, node: NodeProto) -> None:
        """Take a node out whose outputs a patch makes from now on."""
        self._dropped.add(self._index.producer[key_of(node)])

    def result(self) -> PassResult:
        """The changed model; without a patch, the very one that came."""
        if not self._patches:
            return PassResult(self._model, changed=False)
        model = self._index.model
        del model.graph.node[:]
        for number, node in enumerate(self.nodes):
            if (patch := self._patches.get(number)) is not None:
                model.graph.node.extend(patch.nodes)
                model.graph.initializer.extend(patch.constants)
            elif number not in self._dropped:
                model.graph.node.append(node)
        del model.graph.value_info[:]  # the new tensors are missing there, and a builder infers them anyway
        drop_unread(model.graph)
        model.functions.extend(self._model.functions)
        return PassResult(model, changed=True)


class Patch:
    """Nodes in the place of one, called `<its name>/<part>`; their tensors are `<its name>/<part>:0`, ..."""

    def __init__(self, base: str, taken: set[str]) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._base = base
        self._taken = taken

    def constant(self, part: str, value: Array) -> str:
        """A constant called `<the node's name>/<part>`."""
        name = self._fresh(part)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def integers(self, part: str, *values: int) -> str:
        """A constant for axes, sizes and shapes."""
        return self.constant(part, np.array(values, np.int64))

    def add(self, op: str, part: str, *inputs: str, gives: str = "", **attributes: Any) -> str:
        """A node with one output, which gets the name `gives` where there is one to keep; returns that name."""
        return self.add_many(op, part, *inputs, gives=(gives,), **attributes)[0]

    def add_many(self, op: str, part: str, *inputs: str, gives: tuple[str, ...], **attributes: Any) -> tuple[str, ...]:
        """A node with as many outputs as `gives`."""
        name = self._fresh(part)
        outputs = tuple(kept or f"{name}:{number}" for number, kept in enumerate(gives))
        self.nodes.append(helper.make_node(op, inputs, outputs, name=name, **attributes))
        return outputs

    def reshape(self, part: str, data: str, *shape: int, gives: str = "") -> str:
        """A Reshape to a fixed shape."""
        return self.add("Reshape", part, data, self.integers(f"{part}.shape", *shape), gives=gives)

    def _fresh(self, part: str) -> str:
        name, count = f"{self._base}/{part}", 0
        while name in self._taken:
            count += 1
            name = f"{self._base}/{part}_{count}"
        self._taken.add(name)
        return name


def splice_of(model: onnx.ModelProto) -> Splice | None:
    """Take a model apart; None where a rewrite that needs fixed shapes has nothing to hold on to.

    That is a model with an open axis at its inputs, with branches or loops, or of an opset before 13.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.type.tensor_type for value in model.graph.input if value.name not in constants]
    is_open = any(not tensor.HasField("shape") for tensor in inputs) or any(
        not axis.HasField("dim_value") for tensor in inputs for axis in tensor.shape.dim
    )
    nested = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
    branches = any(item.type in nested for node in model.graph.node for item in node.attribute)
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    return None if is_open or branches or opset < LEAST_OPSET else Splice(model)


def _without_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The index would inline them, but a function may stand for a plugin that a builder finds by its node."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.functions[:]
    return copy


def integer(node: NodeProto, name: str, default: int) -> int:
    """The value of an integer attribute."""
    found = attribute(node, name)
    return default if found is None else int(found.i)


def integers(node: NodeProto, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """The values of an attribute of several integers."""
    found = attribute(node, name)
    return default if found is None else tuple(found.ints)
