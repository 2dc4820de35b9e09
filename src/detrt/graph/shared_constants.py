"""One tensor for constants that are equal."""

from __future__ import annotations

import onnx

from detrt.graph.passes import PassResult


def share_constants(model: onnx.ModelProto) -> PassResult:
    """Keep the first of equal initialisers, and let every reader of the others read it."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    renamed: dict[str, str] = {}
    kept = []
    for tensor in graph.initializer:
        content = onnx.numpy_helper.to_array(tensor).tobytes()
        name = first.setdefault((tensor.data_type, tuple(tensor.dims), content), tensor.name)
        if name == tensor.name:
            kept.append(tensor)
        else:
            renamed[tensor.name] = name
    if not renamed:
        return PassResult(model, False)
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    return PassResult(copy, True)
