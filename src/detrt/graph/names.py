"""Names that stay the same from export to export: nodes by module path, tensors by the node that makes them."""

from __future__ import annotations

import re
from collections import Counter

import onnx

from detrt.graph.passes import PassResult

# PyTorch names a member of a Sequential twice: /blocks/blocks.0
_REPEATED = re.compile(r"(?<=.)/([^/]+)/\1\.")

# What an operator's inputs are called when one of them is a constant.
_ROLES = {
    "Conv": ("data", "weight", "bias"),
    "Gemm": ("data", "weight", "bias"),
    "MatMul": ("left", "weight"),
    "LayerNormalization": ("data", "scale", "bias"),
    "Reshape": ("data", "shape"),
    "Gather": ("data", "indices"),
    "GatherND": ("data", "indices"),
    "Split": ("data", "sizes"),
    "TopK": ("data", "k"),
    "Resize": ("data", "roi", "scales", "sizes"),
    "Clip": ("data", "min", "max"),
    "ReduceSum": ("data", "axes"),
    "Unsqueeze": ("data", "axes"),
    "Squeeze": ("data", "axes"),
    "Slice": ("data", "starts", "ends", "axes", "steps"),
}


def name_by_path(model: onnx.ModelProto) -> PassResult:
    """Rename nodes and tensors; inputs and outputs of the graph keep their names.

    A node is `/module/path/Op`, with `_1`, `_2`, ... where a module has several of one kind, in order of execution.
    Its outputs are `<node>:0`, ...; a constant is `<node>.<role>` after the first node that reads it.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    kept = {value.name for value in (*graph.input, *graph.output)}
    constants = {tensor.name for tensor in graph.initializer}
    seen: Counter[str] = Counter()
    renamed: dict[str, str] = {}
    for node in graph.node:
        path = _REPEATED.sub(r"/\1.", node.name.rpartition("/")[0])
        base = f"{path}/{node.op_type}"
        node.name = f"{base}_{seen[base]}" if seen[base] else base
        seen[base] += 1
        for position, name in enumerate(node.input):
            if name in constants and name not in renamed:
                renamed[name] = f"{node.name}.{_role(node.op_type, position)}"
        for position, name in enumerate(node.output):
            if name and name not in kept:
                renamed[name] = f"{node.name}:{position}"
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for tensor in graph.initializer:
        tensor.name = renamed.get(tensor.name, tensor.name)
    for value in graph.value_info:
        value.name = renamed.get(value.name, value.name)
    return PassResult(copy, any(old != new for old, new in renamed.items()))


def _role(operator: str, position: int) -> str:
    roles = _ROLES.get(operator, ())
    return roles[position] if position < len(roles) else f"constant_{position}" if position else "constant"
