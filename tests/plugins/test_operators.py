"""The operators that plugins stand for: their definitions, and graphs that hold them."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from detrt.graph.deformable_attention import NAME, define_attention
from detrt.graph.export import ExportOptions, onnx_from_model
from detrt.graph.fuse_offsets import fuse_offsets
from detrt.graph.multi_head_offsets import ATTRIBUTES
from detrt.graph.plugin_nodes import count_of, for_plugins
from detrt.graph.precision import with_precision
from detrt.models.attention import Table, maps_of, sampled_by_grid, sampled_nearest
from detrt.plugins.attention import AttentionOperation
from detrt.plugins.offsets import OffsetsOperation
from detrt.runtime.onnxruntime import OnnxRuntime
from tests.graph.test_export import contract_of
from tests.graph.test_fuse_offsets import decoder_layer
from tests.models.seeded import SMALL, pictures, seeded_model
from tests.plugins.nodes import Array, Node, attention_node, offsets_node


@pytest.fixture(scope="module")
def exports() -> dict[str, onnx.ModelProto]:
    """The same detector without plugin nodes and with them."""
    model = seeded_model(SMALL)
    options = {"plain": ExportOptions(output="raw"), "plugin": ExportOptions(output="raw", sampler="plugin")}
    return {
        name: onnx_from_model(model, contract_of(SMALL, options[name]), options[name]) for name in ("plain", "plugin")
    }


@pytest.mark.parametrize("shapes", [((4, 5), (2, 3)), ((1, 1), (7, 1))])
@pytest.mark.parametrize("opset", [17, 18])
@pytest.mark.parametrize("discrete", [0, 1])
def test_attentions_definition_is_what_pytorch_computes(
    shapes: tuple[tuple[int, int], ...], opset: int, discrete: int
) -> None:
    node = attention_node(shapes=shapes, discrete=discrete, opset=opset)
    onnx.checker.check_model(node.model, full_check=True)
    expected = by_pytorch(node, shapes)
    (found,), (reference,) = node.expected(), map(np.asarray, ReferenceEvaluator(node.model).run(None, node.feeds))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(reference, expected, rtol=0, atol=1e-5)


def test_a_graph_with_plugin_nodes_finds_the_same(exports: dict[str, onnx.ModelProto]) -> None:
    plain, plugin = exports["plain"], exports["plugin"]
    assert [node.op_type for node in plugin.graph.node].count(NAME) == SMALL.evaluated
    assert not [node for node in plugin.graph.node if node.op_type == "GridSample"]
    feeds = {"images": pictures(SMALL.size, 1).numpy()}
    with OnnxRuntime(plain.SerializeToString()) as first, OnnxRuntime(plugin.SerializeToString()) as second:
        expected, found = first.run(feeds), second.run(feeds)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-4)


def test_tensorrt_is_told_where_the_plugins_are(exports: dict[str, onnx.ModelProto]) -> None:
    before = exports["plugin"].SerializeToString()
    bare, changed = for_plugins(exports["plugin"])
    assert changed
    assert exports["plugin"].SerializeToString() == before
    assert not bare.functions
    nodes = [node for node in bare.graph.node if node.op_type == NAME]
    assert len(nodes) == count_of(bare) == SMALL.evaluated
    for node in nodes:
        place = {item.name: item.s for item in node.attribute if item.name.startswith("plugin_")}
        assert place == {"plugin_namespace": b"detrt", "plugin_version": b"1"}
    assert for_plugins(exports["plain"]) == (exports["plain"], False)


def test_int8_offsets_keep_their_plugin_and_lose_their_definition() -> None:
    bare = for_plugins(fuse_offsets(decoder_layer("transpose")).model).model
    assert not bare.functions
    assert count_of(bare) == 1


def test_in_fp16_values_are_narrow_and_places_are_not(exports: dict[str, onnx.ModelProto]) -> None:
    narrow = with_precision(for_plugins(exports["plugin"]).model, "fp16").model
    defined = onnx.shape_inference.infer_shapes(define_attention(narrow).model, strict_mode=True)
    types = {value.name: value.type.tensor_type.elem_type for value in defined.graph.value_info}
    nodes = [node for node in defined.graph.node if node.op_type == NAME]
    assert len(nodes) == SMALL.evaluated
    for node in nodes:
        assert [types[name] for name in node.input] == [TensorProto.FLOAT16, *[TensorProto.FLOAT] * 3]
        assert types[node.output[0]] == TensorProto.FLOAT16


def test_plugins_take_the_operators_attributes() -> None:
    function = define_attention(attention_node().model).model.functions[0]
    assert set(AttentionOperation.field_types) == set(function.attribute)
    assert list(OffsetsOperation.field_types) == list(ATTRIBUTES)


@pytest.mark.parametrize("make", [attention_node, partial(attention_node, batch=3, depth=5), offsets_node])
def test_plugins_answer_the_shapes_that_the_definition_gives(make: partial[Node]) -> None:
    node = make()
    kind = OffsetsOperation if "codes" in node.feeds else AttentionOperation
    shapes = kind.from_fields(node.fields).output_shapes([value.shape for value in node.feeds.values()])
    assert [tuple(shape) for shape in shapes] == [value.shape for value in node.expected()]


def by_pytorch(node: Node, shapes: tuple[tuple[int, int], ...]) -> Array:
    """The model's own attention, on the same numbers."""
    value, boxes, offsets, logits = (torch.from_numpy(array).double() for array in node.feeds.values())
    points, heads = node.fields["points"].tolist(), int(node.fields["heads"][0])
    scale = torch.tensor([0.5 / count for count in points for _ in range(count)], dtype=torch.float64)
    shape = (*boxes.shape[:2], heads, sum(points))
    reach = scale[:, None] * boxes[:, :, None, None, 2:]
    places = boxes[:, :, None, None, :2] + offsets.reshape(*shape, 2) * reach
    weights = logits.reshape(shape).softmax(-1)
    if node.fields["discrete"][0]:
        return np.asarray(sampled_nearest(Table.of(value, heads), places, weights, shapes, points))
    return np.asarray(sampled_by_grid(maps_of(value, heads, shapes), places, weights, points))
