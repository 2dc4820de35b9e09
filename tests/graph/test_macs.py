"""Multiply-accumulates of graphs small enough to count by hand, and of models whose authors counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from detrt.graph.index import GraphIndex
from detrt.graph.macs import count_macs
from detrt.graph.onnx_file import load
from detrt.graph.static_shapes import static_shapes


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[int | str | None]],
    weights: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]],
    output: str = "y",
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "hand-made",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def weight(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    return np.zeros(shape, np.float32)


def node(kind: str, inputs: str, output: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


@pytest.mark.parametrize(
    ("graph", "macs"),
    [
        (model([node("Conv", "x w", strides=[2, 2], pads=[1] * 4)], {"x": ["N", 3, 8, 8]}, {"w": weight(5, 3, 3, 3)}),
         5 * 4 * 4 * 3 * 3 * 3),
        (model([node("Conv", "x w", group=6)], {"x": [1, 6, 4, 4]}, {"w": weight(6, 1, 3, 3)}), 6 * 2 * 2 * 3 * 3),
        (model([node("ConvTranspose", "x w", strides=[2, 2])], {"x": ["N", 4, 5, 5]}, {"w": weight(4, 7, 2, 2)}),
         4 * 5 * 5 * 7 * 2 * 2),
        (model([node("MatMul", "x w")], {"x": ["N", 300, 16]}, {"w": weight(16, 8)}), 300 * 16 * 8),
        (model([node("MatMul", "x w")], {"x": [None, 2, 9, 4], "w": [None, 2, 4, 9]}, {}), 2 * 9 * 4 * 9),
        (model([node("Gemm", "x w", transA=1)], {"x": [6, 5]}, {"w": weight(6, 2)}), 5 * 6 * 2),
        (model([node("Relu", "x")], {"x": ["N", 3]}, {}), 0),
    ],
    ids=["conv", "depthwise", "transposed", "linear", "attention", "gemm", "nothing"],
)  # fmt: skip
def test_a_single_node_costs_what_a_hand_count_says(graph: onnx.ModelProto, macs: int) -> None:
    counted = count_macs(graph)
    assert counted.total == macs
    assert not counted.uncounted


def test_shapes_are_followed_through_the_arithmetic_of_an_exporter() -> None:
    """A flattening as PyTorch exports it: Reshape to (batch of x, -1), with the batch read from x at run time."""
    graph = model(
        [
            node("Shape", "x", "shape"),
            node("Gather", "shape zero", "batch"),
            node("Unsqueeze", "batch axis", "batches"),
            node("Concat", "batches rest", "target", axis=0),
            node("Reshape", "x target", "flat"),
            node("MatMul", "flat w"),
        ],
        {"x": ["N", 3, 4, 5]},
        {"zero": np.array(0), "axis": np.array([0]), "rest": np.array([-1]), "w": weight(60, 7)},
    )
    assert static_shapes(graph)["flat"] == (1, 60)
    assert count_macs(graph).total == 60 * 7


def test_what_cannot_be_known_is_said_and_not_guessed() -> None:
    graph = model(
        [node("MatMul", "x w", "a"), node("MatMul", "s t", "b"), node("Einsum", "a a", equation="ij,ij->ij")],
        {"x": [2, 16], "s": [1, "length", 4], "t": [4, 4]},
        {"w": weight(16, 8)},
    )
    counted = count_macs(graph)
    assert counted.by_op == {"MatMul": 2 * 16 * 8}
    assert counted.uncounted == {"MatMul": 1, "Einsum": 1}


def test_counting_leaves_the_model_as_it_was() -> None:
    graph = model([node("MatMul", "x w")], {"x": ["N", 300, 16]}, {"w": weight(16, 8)})
    before = graph.SerializeToString()
    count_macs(graph)
    assert graph.SerializeToString() == before


def test_the_authors_count_the_same(femto: Path, atto: Path) -> None:
    """DEIMv2's README states GFLOPs, two a multiply-accumulate: 1.7 for femto, 0.8 for atto."""
    for path, gflops in ((femto, 1.7), (atto, 0.8)):
        counted = count_macs(load(path))
        assert round(2 * counted.total / 1e9, 1) == gflops
        assert not counted.uncounted


def test_shapes_agree_with_what_onnx_runtime_sees(femto: Path) -> None:
    """The inputs of every convolution and product, as they are when the model really runs on one image."""
    import onnxruntime

    loaded = load(femto)
    shapes = static_shapes(loaded)
    names = [node.output[0] for node in loaded.graph.node if node.op_type in ("Conv", "MatMul", "Gemm")]
    watched = [name for name in names if name not in {output.name for output in loaded.graph.output}]
    loaded.graph.output.extend(onnx.ValueInfoProto(name=name) for name in watched)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(loaded.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {"images": weight(1, 3, 416, 416), "orig_target_sizes": np.array([[416, 416]])}
    seen = session.run(watched, feeds)
    assert [shapes[name] for name in watched] == [value.shape for value in seen]


def test_operators_of_onnx_runtime_and_files_of_old_hide_no_shape() -> None:
    nodes = [node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Conv", "b v")]
    plain = model(nodes, {"x": ["N", 4, 9, 9]}, {"w": weight(6, 4, 3, 3), "v": weight(5, 6, 1, 1)})
    theirs, old = onnx.ModelProto(), onnx.ModelProto()
    theirs.CopyFrom(plain)
    theirs.graph.node[1].op_type, theirs.graph.node[1].domain = "QuickGelu", "com.microsoft"
    theirs.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    old.CopyFrom(plain)
    old.ir_version = 3
    for tensor in old.graph.initializer:
        old.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    for other in (theirs, old):
        assert count_macs(other) == count_macs(plain)
        assert count_macs(GraphIndex(other).model) == count_macs(plain)
        assert static_shapes(other)["b"] == (1, 6, 7, 7)


def test_an_operator_that_nobody_knows_hides_what_follows_it() -> None:
    graph = model(
        [node("Conv", "x w", "a"), node("Odd", "a", domain="theirs")], {"x": [1, 4, 9, 9]}, {"w": weight(6, 4, 3, 3)}
    )
    graph.opset_import.append(helper.make_opsetid("theirs", 1))
    assert "y" not in static_shapes(graph)
    assert count_macs(graph).total == 7 * 7 * 6 * 4 * 3 * 3
