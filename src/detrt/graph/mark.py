"""Pass: make inner tensors outputs of the model, to look at them, or to break a fusion that goes wrong.

A builder keeps a tensor that it must return, so it cannot merge the layers on both sides of it. Where a fusion drops a
bias, two such marks put the engine right (`detrt repair` finds which).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import onnx
from onnx import TensorProto, ValueInfoProto, helper

from detrt.errors import GraphError
from detrt.graph.passes import PassResult


@dataclass(frozen=True)
class Mark:
    """A pass that appends outputs.

    The model's own outputs stay first, in their order and with their types, so every consumer still finds them; the
    marked ones follow in the graph's order, with the types that shape inference gives them.

    Attributes:
        patterns: tensor or node names; `*`, `?` and `[abc]` stand for what they do in a shell, where the text is no
            name as it is. A node stands for all that it gives.
    """

    patterns: Sequence[str]

    def __call__(self, model: onnx.ModelProto) -> PassResult:
        """Mark them; unchanged where all are outputs already.

        Raises:
            GraphError: a pattern fits nothing, or a tensor's type cannot be known.
        """
        names = tensors_named(model, self.patterns)
        outputs = {value.name for value in model.graph.output}
        wanted = [name for name in names if name not in outputs]
        return PassResult(with_outputs(model, wanted), changed=True) if wanted else PassResult(model, changed=False)


def with_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """A copy of the model that also returns these tensors, which it computes and does not return yet.

    Raises:
        GraphError: the type of one cannot be known.
    """
    types = tensor_types(model)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for name in names:
        if name not in types:
            raise GraphError(
                f"The type of the tensor {name} cannot be inferred.",
                "It comes from an operator that ONNX does not know; mark a tensor before or after it.",
            )
        copy.graph.output.append(types[name])
    return copy


def tensors_named(model: onnx.ModelProto, patterns: Iterable[str]) -> list[str]:
    """The tensors that the graph's nodes compute and that the patterns fit, in the graph's order, each once.

    Raises:
        GraphError: a pattern fits nothing; names what comes close.
    """
    found: set[str] = set()
    for pattern in patterns:
        fitting = [
            name
            for node in model.graph.node
            for name in node.output
            if name and (_fits(name, pattern) or _fits(node.name, pattern))
        ]
        if not fitting:
            known = [name for node in model.graph.node for name in node.output if name]
            close = difflib.get_close_matches(pattern, known, n=3, cutoff=0.5)
            raise GraphError(
                f"No tensor or node of the model is called {pattern}.",
                f"Close to it: {', '.join(close)}." if close else "Give a name, or a pattern such as '*/cross_attn/*'.",
            )
        found.update(fitting)
    return [name for node in model.graph.node for name in node.output if name in found]


def tensor_types(model: onnx.ModelProto) -> dict[str, ValueInfoProto]:
    """Name, element type and shape, as far as they can be inferred, of every tensor of known element type."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    typed = {
        value.name: value
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.elem_type != TensorProto.UNDEFINED
    }
    for node in graph.node:  # what the reader of a tensor takes tells its type where its maker does not
        if node.op_type == "QuantizeLinear" and node.input[0] not in typed:
            typed[node.input[0]] = helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, None)
    return typed


def _fits(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)
