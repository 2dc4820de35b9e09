"""A transpose in front of a Gemm becomes an attribute of the Gemm."""

from __future__ import annotations

from collections import Counter

import onnx

from detrt.graph.passes import PassResult


def transpose_inside_gemm(model: onnx.ModelProto) -> PassResult:
    """Take a 2-D transpose that one Gemm alone reads into its `transA` or `transB`."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(value.name for value in graph.output)
    transposes = {node.output[0]: node for node in graph.node if node.op_type == "Transpose" and _swaps_two(node)}
    taken = []
    for node in graph.node:
        if node.op_type != "Gemm":
            continue
        for position, attribute in enumerate(("transA", "transB")):
            transpose = transposes.get(node.input[position])
            if transpose is not None and readers[node.input[position]] == 1:
                node.input[position] = transpose.input[0]
                _flip(node, attribute)
                taken.append(transpose)
    for transpose in taken:
        graph.node.remove(transpose)
    return PassResult(copy, True) if taken else PassResult(model, False)


def _swaps_two(node: onnx.NodeProto) -> bool:
    return any(list(attribute.ints) == [1, 0] for attribute in node.attribute if attribute.name == "perm")


def _flip(node: onnx.NodeProto, name: str) -> None:
    for attribute in node.attribute:
        if attribute.name == name:
            attribute.i = 1 - attribute.i
            return
    node.attribute.append(onnx.helper.make_attribute(name, 1))
