"""Shapes of what operators outside of the standard make: ONNX Runtime knows those of its own, ONNX none."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import NodeProto, ValueInfoProto, helper

from detrt.errors import ModelError
from detrt.graph import ops
from detrt.runtime.onnxruntime import OnnxRuntime


def foreign_outputs(model: onnx.ModelProto) -> list[ValueInfoProto]:
    """Types and shapes that ONNX's inference has not found, of outputs of nodes whose inputs it knows.

    Args:
        model: as that inference has left it.
    """
    graph = model.graph
    known = {value.name: value for value in (*graph.input, *graph.value_info, *graph.output) if _has_shape(value)}
    known |= {
        tensor.name: helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in graph.initializer
    }
    found: dict[str, ValueInfoProto] = {}
    for node in graph.node:
        if not ops.is_standard(node.domain) and not known.keys() >= {name for name in node.output if name}:
            made = _outputs(model, node, known)
            found |= made
            known |= made
    given = {value.name for value in graph.output}
    return [value for name, value in found.items() if name not in given]


def _outputs(model: onnx.ModelProto, node: NodeProto, known: Mapping[str, ValueInfoProto]) -> dict[str, ValueInfoProto]:
    """What ONNX Runtime says that a node alone gives; nothing where it does not know the operator either."""
    read = dict.fromkeys(name for name in node.input if name)
    if not all(name in known for name in read):
        return {}
    alone = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    alone.graph.name = "foreign"
    alone.graph.node.append(node)
    alone.graph.input.extend(known[name] for name in read)
    alone.graph.output.extend(ValueInfoProto(name=name) for name in node.output if name)
    try:
        with OnnxRuntime(alone.SerializeToString(), device="cpu", threads=1) as runtime:
            specs = runtime.outputs
    except ModelError:
        return {}
    return {
        spec.name: helper.make_tensor_value_info(
            spec.name, helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype)), spec.shape
        )
        for spec in specs
        if None not in spec.shape
    }


def _has_shape(value: ValueInfoProto) -> bool:
    kind = value.type.tensor_type
    return kind.HasField("shape") and all(axis.HasField("dim_value") for axis in kind.shape.dim)
