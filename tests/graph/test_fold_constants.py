"""Constants that nodes compute: they become constants, and the network stays what it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from detrt.graph.fold_constants import LARGEST_GROWN, fold_constants
from detrt.graph.index import GraphIndex
from detrt.runtime.base import Array
from detrt.runtime.onnxruntime import OnnxRuntime
from tests.graph.small_models import model_of

make = helper.make_node
X = np.random.default_rng(1).standard_normal((1, 10, 8)).astype(np.float32)


def reading(nodes: Sequence[NodeProto], constants: Mapping[str, Array], reads: str = "w") -> onnx.ModelProto:
    """x (1, 10, 8) times the matrix `reads`, after `nodes`."""
    product = make("MatMul", ["x", reads], ["y"])
    return model_of([*nodes, product], inputs={"x": (1, 10, 8)}, outputs={"y": (1, 10, "K")}, constants=constants)


def drawn(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def run(model: onnx.ModelProto) -> Array:
    with OnnxRuntime(model.SerializeToString(), device="cpu") as runtime:
        return runtime.run({"x": X})["y"]


def test_a_weight_behind_several_nodes_is_found() -> None:
    nodes = [
        make("Split", ["all"], ["first", "second", "third"], axis=0),
        make("Transpose", ["second"], ["turned"], perm=[1, 0]),
        make("Mul", ["turned", "gain"], ["w"]),
    ]
    model = reading(nodes, {"all": drawn(12, 8), "gain": np.array(3, np.float32)})
    folded, changed = fold_constants(model)
    assert changed
    assert [node.op_type for node in folded.graph.node] == ["MatMul"]
    assert [tensor.name for tensor in folded.graph.initializer] == ["w"]
    np.testing.assert_array_equal(run(folded), run(model))
    assert [node.op_type for node in model.graph.node][:1] == ["Split"]  # as it was
    assert "w" in GraphIndex(model).constants


def test_a_constant_that_others_read_too_stays() -> None:
    nodes = [make("Transpose", ["v"], ["w"], perm=[1, 0]), make("MatMul", ["x", "v"], ["z"])]
    model = reading(nodes, {"v": drawn(8, 8)})
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 10, 8]))
    assert {tensor.name for tensor in fold_constants(model).model.graph.initializer} == {"v", "w"}


def test_quantisers_and_what_is_drawn_stay() -> None:
    scaling: dict[str, Array] = {"scale": np.array(0.1, np.float32), "zero": np.zeros((), np.int8)}
    nodes = [
        make("QuantizeLinear", ["raw", "scale", "zero"], ["codes"]),
        make("DequantizeLinear", ["codes", "scale", "zero"], ["noisy"]),
        make("RandomNormalLike", ["raw"], ["noise"]),
        make("Add", ["noisy", "noise"], ["w"]),
    ]
    model = reading(nodes, {"raw": drawn(8, 4), **scaling})
    assert fold_constants(model) == (model, False)


def test_what_grows_much_is_computed() -> None:
    side = LARGEST_GROWN // 8
    for wide, changed in ((side, True), (side + 1, False)):
        shape = np.array([8, wide], np.int64)
        model = reading([make("Expand", ["column", "shape"], ["w"])], {"column": drawn(8, 1), "shape": shape})
        assert fold_constants(model).changed == changed


def test_outputs_and_operators_of_others_stay() -> None:
    model = reading([make("Transpose", ["v"], ["w"], perm=[1, 0])], {"v": drawn(4, 8)})
    model.graph.output.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [8, 4]))
    assert not fold_constants(model).changed
    del model.graph.output[1:]
    model.graph.node[0].domain = "theirs"
    assert not fold_constants(model).changed


def test_without_such_nodes_it_is_the_very_model_that_came() -> None:
    model = reading([], {"w": drawn(8, 4)})
    assert fold_constants(model) == (model, False)
