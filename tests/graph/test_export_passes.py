"""The exporter's own passes, each on a graph of a few nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from detrt.errors import GraphError
from detrt.graph.checked import check
from detrt.graph.names import name_by_path
from detrt.graph.passes import Pass
from detrt.graph.shared_constants import share_constants
from detrt.graph.transposed_gemm import transpose_inside_gemm
from detrt.runtime.onnxruntime import OnnxRuntime

W = np.arange(12, dtype=np.float32).reshape(3, 4)


def graph(nodes: Sequence[onnx.NodeProto], constants: dict[str, np.ndarray], shape: tuple[int, int]) -> onnx.ModelProto:
    """From `x` of `shape` to `y`, whose shape is left to ONNX."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, (None, None))]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def result(model: onnx.ModelProto) -> np.ndarray:
    x = np.arange(6, dtype=np.float32).reshape(model.graph.input[0].type.tensor_type.shape.dim[0].dim_value, -1)
    with OnnxRuntime(model.SerializeToString(), device="cpu") as runtime:
        return runtime.run({"x": x})["y"]


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("already", [0, 1])
def test_transpose_becomes_an_attribute(already: int) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
        helper.make_node("Gemm", ["t", "w"], ["y"], transA=already),
    ]
    model = graph(nodes, {"w": W}, (2, 3) if already else (3, 2))
    changed = transpose_inside_gemm(model)
    assert changed.changed
    assert kinds(changed.model) == ["Gemm"]
    np.testing.assert_array_equal(result(changed.model), result(model))


def test_transpose_that_others_read_stays() -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
        helper.make_node("Gemm", ["t", "w"], ["g"]),
        helper.make_node("MatMul", ["x", "t"], ["m"]),
        helper.make_node("MatMul", ["m", "x"], ["n"]),
        helper.make_node("Gemm", ["n", "g"], ["y"]),
    ]
    model = graph(nodes, {"w": W}, (3, 2))
    assert transpose_inside_gemm(model) == (model, False)


def test_equal_constants_become_one() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["p"]),
        helper.make_node("MatMul", ["x", "b"], ["q"]),
        helper.make_node("Add", ["p", "q"], ["r"]),
        helper.make_node("Add", ["r", "other"], ["y"]),
    ]
    model = graph(nodes, {"a": W, "b": W.copy(), "other": np.ones(4, np.float32)}, (2, 3))
    shared = share_constants(model)
    assert shared.changed
    assert [tensor.name for tensor in shared.model.graph.initializer] == ["a", "other"]
    np.testing.assert_array_equal(result(shared.model), result(model))
    assert not share_constants(shared.model).changed


def test_nodes_and_tensors_are_named_by_path() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["12"], name="/neck/blocks/blocks.0/MatMul_3"),
        helper.make_node("Relu", ["12"], ["13"], name="/neck/blocks/blocks.0/Relu_9"),
        helper.make_node("Relu", ["13"], ["y"], name="/neck/blocks/blocks.0/Relu_4"),
    ]
    model = graph(nodes, {"onnx::MatMul_7": W}, (2, 3))
    named = name_by_path(model).model
    assert [node.name for node in named.graph.node] == [
        "/neck/blocks.0/MatMul",
        "/neck/blocks.0/Relu",
        "/neck/blocks.0/Relu_1",
    ]
    assert list(named.graph.node[1].input) == ["/neck/blocks.0/MatMul:0"]
    assert named.graph.initializer[0].name == "/neck/blocks.0/MatMul.weight"
    assert named.graph.output[0].name == "y"
    np.testing.assert_array_equal(result(named), result(model))
    assert not name_by_path(named).changed


@pytest.mark.parametrize("step", [transpose_inside_gemm, share_constants, name_by_path, check])
def test_argument_is_left_as_it_was(step: Pass) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
        helper.make_node("Gemm", ["t", "w"], ["y"]),
    ]
    model = graph(nodes, {"w": W, "v": W}, (3, 2))
    before = model.SerializeToString()
    step(model)
    assert model.SerializeToString() == before


def test_graph_that_is_not_onnx_is_refused() -> None:
    model = graph([helper.make_node("MatMul", ["x", "nowhere"], ["y"])], {}, (2, 3))
    with pytest.raises(GraphError, match="not valid ONNX"):
        check(model)
