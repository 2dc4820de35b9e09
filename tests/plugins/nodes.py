"""Models of one plugin node, with feeds; ONNX Runtime runs the operator's definition, which the plugins are held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from detrt.graph.deformable_attention import define_attention
from detrt.graph.multi_head_offsets import DOMAIN, attribute_names, with_definition
from detrt.runtime.onnxruntime import OnnxRuntime

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Node:
    """A model of one node, what goes in by name, and the node's attributes as a plugin's fields."""

    model: onnx.ModelProto
    feeds: dict[str, Array]
    fields: dict[str, Array] = field(repr=False)

    def expected(self) -> list[Array]:
        """The definition's outputs."""
        with OnnxRuntime(self.model.SerializeToString(), device="cpu") as runtime:
            outputs = runtime.run(self.feeds)
        return [outputs[value.name] for value in self.model.graph.output]


def attention_node(
    batch: int = 2,
    queries: int = 7,
    heads: int = 2,
    depth: int = 4,
    shapes: Sequence[tuple[int, int]] = ((4, 5), (2, 3)),
    points: Sequence[int] = (3, 2),
    discrete: int = 0,
    opset: int = 17,
) -> Node:
    """`detrt::DeformableAttention`, some of whose places lie outside of the maps."""
    draw = np.random.default_rng(queries)
    cells, total, channels = sum(map(prod, shapes)), sum(points), heads * depth
    feeds = {
        "value": draw.standard_normal((batch, cells, channels)),
        "references": draw.random((batch, queries, 4)),
        "offsets": 3 * draw.standard_normal((batch, queries, heads * total * 2)),
        "logits": draw.standard_normal((batch, queries, heads * total)),
    }
    sides = [side for shape in shapes for side in shape]
    attributes: dict[str, Any] = {"heads": heads, "shapes": sides, "points": list(points), "discrete": discrete}
    node = helper.make_node(
        "DeformableAttention", list(feeds), ["output"], domain=DOMAIN, offset_scale=0.5, **attributes
    )
    model = _model(node, {name: ("FLOAT", value.ndim) for name, value in feeds.items()}, {"output": 3}, opset)
    fields = {name: np.atleast_1d(np.array(value, np.int32)) for name, value in attributes.items()}
    fields["offset_scale"] = np.array([0.5], np.float32)
    return Node(define_attention(model).model, {n: v.astype(np.float32) for n, v in feeds.items()}, fields)


def offsets_node(batch: int = 2, queries: int = 7, depth: int = 32, attention: int = 10, offsets: int = 20) -> Node:
    """`detrt::MultiHeadOffsets`."""
    draw = np.random.default_rng(queries)
    values: dict[str, Array] = {"input_scale": np.array(0.05, np.float32), "input_offset": np.array(0, np.int8)}
    for part, columns in (("attn", attention), ("sp", offsets)):
        weight, scale, zero, bias = attribute_names(part)
        values[weight] = draw.integers(-127, 128, (columns, depth)).astype(np.int8)
        values[scale] = draw.uniform(4e-4, 4e-3, columns).astype(np.float32)
        values[zero] = np.zeros(columns, np.int8)
        values[bias] = draw.uniform(-4, 4, columns).astype(np.float32)
    node = helper.make_node("MultiHeadOffsets", ["codes"], ["attn", "sp"], domain=DOMAIN)
    node.attribute.extend(
        helper.make_attribute(name, onnx.numpy_helper.from_array(value, name)) for name, value in values.items()
    )
    model = with_definition(_model(node, {"codes": ("INT8", 3)}, {"attn": 3, "sp": 3}, 17))
    codes = draw.integers(-128, 128, (batch, queries, depth)).astype(np.int8)
    return Node(model, {"codes": codes}, {name: value.reshape(-1) for name, value in values.items()})


def behind_quantiser(node: Node) -> Node:
    """The same for floats, which a QuantizeLinear makes codes of, as in a network."""
    model = onnx.ModelProto()
    model.CopyFrom(node.model)
    graph, scale = model.graph, node.fields["input_scale"][0]
    graph.node.insert(0, helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["codes"]))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(scale), "scale"))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(0, np.int8), "zero"))
    graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, [None] * 3))
    return Node(model, {"x": node.feeds["codes"].astype(np.float32) * scale}, node.fields)


def _model(
    node: onnx.NodeProto, inputs: dict[str, tuple[str, int]], outputs: dict[str, int], opset: int
) -> onnx.ModelProto:
    graph = helper.make_graph(
        [node],
        "node",
        [
            helper.make_tensor_value_info(name, TensorProto.DataType.Value(kind), [None] * rank)
            for name, (kind, rank) in inputs.items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank) for name, rank in outputs.items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)
