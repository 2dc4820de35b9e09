"""Pass: products that read their input less its mean, channel by channel, and have the rest in their bias.

The network computes the same. But a floating-point code errs in proportion to the value that it stands for, so a
channel that varies a little around a large mean is rounded as coarsely as if it varied that much: of the noise that FP8
brings into the convolutions of a backbone, the means make two thirds to nine tenths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, helper, numpy_helper

from detrt.graph.index import GraphIndex, attribute, key_of, set_input
from detrt.graph.passes import PassResult
from detrt.graph.unread import drop_unread

Array = npt.NDArray[Any]
Place = tuple[str, int]

SHIFTED = "/less"
"""Ends the name of what a product makes whose bias, added by a later node, has taken the mean."""


@dataclass(frozen=True)
class CentreInputs:
    """The pass. Where a constant is added already, or by the branches of a `Concat`, the mean goes in there.

    The padding of a convolution becomes a `Pad` before the subtraction, since a border of zeros is not of mean zero.

    Attributes:
        means: float32, by tensor, in a shape that meets the tensor: (channels, 1, 1) or (channels,).
        keys: the products whose input 0, one of these tensors, is centred.
        biases: what the constant (node key, slot) becomes, so that the products' outputs stay what they were.
    """

    means: Mapping[str, Array]
    keys: frozenset[str]
    biases: Mapping[Place, Array]

    def __call__(self, model: onnx.ModelProto) -> PassResult:
        """Rewrite; see `Pass`."""
        if not self.keys:
            return PassResult(model, changed=False)
        graph = GraphIndex(model)
        builder = _Builder(graph)
        nodes: list[NodeProto] = []
        for node in graph.nodes:
            key = key_of(node)
            if key in self.keys:
                mean = self.means[node.input[0]]
                node.input[0] = builder.centred(builder.padded(node, nodes), mean, nodes)
            for slot in range(3):
                if (key, slot) in self.biases:
                    set_input(node, slot, builder.constant(f"{key}/centred/{slot}", self.biases[key, slot]))
            nodes.append(node)
        proto = graph.model.graph
        del proto.node[:]
        proto.node.extend(nodes)
        drop_unread(proto)
        return PassResult(graph.model, changed=True)


@dataclass(frozen=True)
class RenameShifted:
    """A pass that gives products whose bias is added by a later node another name for what they make.

    It is less than it was by what the bias has more, so nobody should take it for the same tensor.

    Attributes:
        keys: of the products; each is read once, by the node that adds the bias.
    """

    keys: frozenset[str]

    def __call__(self, model: onnx.ModelProto) -> PassResult:
        """Rename; see `Pass`."""
        if not self.keys:
            return PassResult(model, changed=False)
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        for node in copy.graph.node:
            for names in (node.input, node.output):
                names[:] = [f"{name}{SHIFTED}" if name in self.keys else name for name in names]
        del copy.graph.value_info[:]
        return PassResult(copy, changed=True)


def has_padding(node: NodeProto) -> bool:
    """Whether a product puts zeros around what it reads."""
    pads = attribute(node, "pads")
    return pads is not None and any(pads.ints)


class _Builder:
    """Makes each centred tensor once, before the first node that reads it."""

    def __init__(self, graph: GraphIndex) -> None:
        self._graph = graph
        self._done: set[str] = set()

    def padded(self, node: NodeProto, nodes: list[NodeProto]) -> str:
        """What a product reads with its padding around it, which is taken from the product."""
        name, pads = node.input[0], attribute(node, "pads")
        if pads is None or not has_padding(node):
            return name
        result = f"{name}/padded/{'.'.join(map(str, pads.ints))}"
        if self._is_new(result):
            half = len(pads.ints) // 2
            around = np.array([0, 0, *pads.ints[:half], 0, 0, *pads.ints[half:]], np.int64)
            nodes.append(
                helper.make_node("Pad", [name, self.constant(f"{result}/pads", around)], [result], name=result)
            )
        pads.ints[:] = [0] * len(pads.ints)
        return result

    def centred(self, name: str, mean: Array, nodes: list[NodeProto], result: str = "") -> str:
        """A tensor less its mean, by the name `result`."""
        result = result or f"{name}/centred"
        if self._is_new(result):
            nodes.append(self._subtraction(name, mean, result, nodes))
        return result

    def _subtraction(self, name: str, mean: Array, result: str, nodes: list[NodeProto]) -> NodeProto:
        maker = self._graph.producer.get(name)
        node = None if maker is None else self._graph.nodes[maker]
        if node is not None and node.op_type == "Concat" and (widths := self._widths(node, mean)):
            means = np.split(mean, np.cumsum(widths)[:-1])
            inputs = [
                self.centred(branch, part, nodes, f"{result}/{number}")
                for number, (branch, part) in enumerate(zip(node.input, means, strict=True))
            ]
            return helper.make_node("Concat", inputs, [result], name=result, axis=1)
        if node is not None and node.op_type == "Add":
            for slot, other in enumerate(node.input):
                if other in self._graph.constants:
                    less = numpy_helper.to_array(self._graph.constants[other]) - mean
                    inputs = [node.input[1 - slot], self.constant(f"{result}/sum", less.astype(np.float32))]
                    return helper.make_node("Add", inputs, [result], name=result)
        return helper.make_node("Add", [name, self.constant(f"{result}/less", -mean)], [result], name=result)

    def _is_new(self, name: str) -> bool:
        if name in self._done:
            return False
        self._done.add(name)
        return True

    def constant(self, name: str, value: Array) -> str:
        self._graph.model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _widths(self, node: NodeProto, mean: Array) -> list[int]:
        """Channels of each branch; empty where they are not known, or not what is joined."""
        axis = attribute(node, "axis")
        widths = [self._graph.side(name, 1) for name in node.input]
        joined = axis is not None and axis.i == 1 and mean.ndim == 3 and all(widths) and sum(widths) == len(mean)
        return widths if joined else []
