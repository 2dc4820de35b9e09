"""Which ONNX tensors an engine's own tensors are, told by what its layers were made from.

TensorRT shows the tensors between its layers under names of its own. A layer states the ONNX nodes that it does; what
leaves this set of nodes is what leaves the layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from detrt.profile.layers import Layer

_SCALED = ("QuantizeLinear", "DequantizeLinear")
"""A builder moves scales from layer to layer, so what it holds at these places is the ONNX tensor up to a factor."""


def onnx_names(layers: Sequence[Layer], model: onnx.ModelProto) -> dict[str, str]:
    """From the engine's name of a tensor to ONNX's, wherever there is one possibility only.

    A node that several layers work on counts for the last of them, before which its output is not complete. What
    quantisers and dequantisers give has no name here.
    """
    nodes = {node.name: node for node in model.graph.node if node.name}
    known = {name for node in model.graph.node for name in node.output if name}
    scaled = {name for node in model.graph.node if node.op_type in _SCALED for name in node.output}
    readers: dict[str, set[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.name)
    outputs = {value.name for value in model.graph.output}
    last = {source: number for number, layer in enumerate(layers) for source in layer.sources}
    found: dict[str, str] = {}
    for number, layer in enumerate(layers):
        inside = {source for source in layer.sources if source in nodes}
        leaving = [
            name
            for source in layer.sources
            if source in nodes and last[source] == number
            for name in nodes[source].output
            if name in outputs or readers.get(name, set()) - inside
        ]
        own = [tensor.name for tensor in layer.outputs]
        found |= {name: name for name in own if name in known}
        unnamed = [name for name in own if name not in known]
        if len(unnamed) == 1 and len(leaving) == 1:
            found[unnamed[0]] = leaving[0]
    return {own: name for own, name in found.items() if name not in scaled}
