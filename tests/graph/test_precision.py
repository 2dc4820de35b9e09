from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from detrt.errors import GraphError
from detrt.graph import ops
from detrt.graph.emulate import emulated
from detrt.graph.index import GraphIndex, key_of
from detrt.graph.precision import Precision, plan_precision, with_precision
from detrt.graph.quantizers import InsertQuantizers
from detrt.graph.ranges import measure_ranges
from detrt.graph.retype import narrow_constant, retyped
from detrt.runtime.base import Array
from detrt.runtime.onnxruntime import OnnxRuntime
from tests.graph.small_models import detector_tail, model_of, network, norm


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_full_precision_leaves_the_graph_alone(precision: Precision) -> None:
    model = network()
    result = with_precision(model, precision)
    assert not result.changed
    assert result.model == model


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_argument_is_not_edited_and_signature_stays(precision: Precision) -> None:
    model = network()
    before = model.SerializeToString()
    result = with_precision(model, precision).model
    assert model.SerializeToString() == before
    assert result.graph.input == model.graph.input
    assert result.graph.output == model.graph.output


def test_constants_that_old_files_list_as_inputs_are_not_asked_for() -> None:
    model = network()
    model.graph.input.append(helper.make_tensor_value_info("w2", TensorProto.FLOAT, [4, 8, 1, 1]))
    result = with_precision(model, "fp16").model
    onnx.checker.check_model(result, full_check=True)
    assert [value.name for value in result.graph.input] == ["images"]


@pytest.mark.parametrize(("precision", "kind"), [("fp16", TensorProto.FLOAT16), ("bf16", TensorProto.BFLOAT16)])
def test_weights_are_converted_and_never_cast(precision: Precision, kind: int) -> None:
    result = with_precision(network(), precision).model
    constants = {tensor.name: tensor for tensor in result.graph.initializer}
    convolutions = [node for node in result.graph.node if node.op_type == "Conv"]
    assert convolutions
    assert all(constants[name].data_type == kind for node in convolutions for name in node.input[1:])
    assert not [node for node in _casts(result) if node.input[0] in constants]


def test_one_cast_in_and_one_out_where_everything_is_narrow() -> None:
    result = with_precision(network(), "fp16").model
    onnx.checker.check_model(result, full_check=True)
    assert [node.input[0] for node in _casts(result)] == ["images", result.graph.output[0].name + "/fp16"]


def test_narrow_result_is_close_and_really_narrow() -> None:
    model = network()
    feeds = {"images": np.random.default_rng(0).random((1, 3, 16, 16), np.float32)}
    exact = _run(model, feeds)["features"]
    narrow = _run(emulated(with_precision(model, "fp16").model), feeds)["features"]
    coarse = _run(emulated(with_precision(model, "bf16").model), feeds)["features"]
    fine_error, coarse_error = np.abs(narrow - exact).max(), np.abs(coarse - exact).max()
    assert 0 < fine_error < 4e-3 * np.abs(exact).max()
    assert 3 * fine_error < coarse_error < 4e-2 * np.abs(exact).max()


def test_decoding_behind_the_last_layer_stays_in_float32() -> None:
    plan = plan_precision(detector_tail(), "fp16")
    kept = {one.output: one.reason for one in plan.kept}
    assert {"unit", "boxes", "scores"} <= kept.keys()
    assert "boxes" in kept["boxes"]
    assert not {"hidden", "delta", "delta/biased", "logits"} & plan.wide


def test_pixels_of_a_wide_photo_survive() -> None:
    model = detector_tail()
    feeds = {"images": np.random.default_rng(1).random((1, 10, 8), np.float32), "sizes": np.array([[4000, 3001]])}
    exact, ours = _run(model, feeds), _run(emulated(with_precision(model, "fp16").model), feeds)
    naive = _run(emulated(retyped(GraphIndex(model), "fp16", frozenset())), feeds)
    assert np.abs(ours["boxes"] - exact["boxes"]).max() < 1.0
    assert np.abs(naive["boxes"] - exact["boxes"]).max() > 1.0


def test_overflow_seen_on_photos_stays_in_float32() -> None:
    model = norm(gain=400.0)
    feeds = [{"x": np.random.default_rng(seed).standard_normal((1, 4, 8)).astype(np.float32)} for seed in range(3)]
    plan = plan_precision(model, "fp16", ranges=measure_ranges(model, feeds))
    assert plan.measured
    assert any(one.op == "Pow" and "reaches" in one.reason for one in plan.kept)
    small = norm(gain=1.0)
    assert not plan_precision(small, "fp16", ranges=measure_ranges(small, feeds)).kept


def test_without_photos_squares_stay_and_the_plan_says_so() -> None:
    plan = plan_precision(norm(gain=1.0), "fp16")
    assert not plan.measured
    assert {one.op for one in plan.kept} == {"Pow", "ReduceMean"}
    assert "without photos" in plan.summary()
    assert not plan_precision(norm(gain=1.0), "bf16").kept


def test_what_feeds_a_node_that_rounding_hurts_stays_too() -> None:
    """Softmax of logits in the thousands: a rounded logit is off by one, whoever rounded it."""
    rng = np.random.default_rng(0)
    weight = (2000 * rng.standard_normal((8, 8))).astype(np.float32)
    mixing = rng.standard_normal((8, 8)).astype(np.float32)
    model = model_of(
        [
            helper.make_node("MatMul", ["x", "weight"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["shares"], axis=-1),
            helper.make_node("MatMul", ["shares", "mixing"], ["y"]),
        ],
        inputs={"x": (4, 8)},
        outputs={"y": (4, 8)},
        constants={"weight": weight, "mixing": mixing},
    )
    feeds = [{"x": rng.standard_normal((4, 8)).astype(np.float32)} for _ in range(4)]
    plan = plan_precision(model, "fp16", ranges=measure_ranges(model, feeds))
    assert {"logits", "shares"} <= plan.wide
    assert "y" not in plan.wide


def test_narrow_island_between_wide_nodes_is_not_worth_two_casts() -> None:
    big = np.array(1e5, np.float32)
    model = model_of(
        [
            helper.make_node("Mul", ["x", "big"], ["a"]),
            helper.make_node("Transpose", ["a"], ["b"], perm=[1, 0]),
            helper.make_node("Add", ["b", "one"], ["c"]),
            helper.make_node("Mul", ["c", "big"], ["d"]),
            helper.make_node("MatMul", ["d", "weight"], ["y"]),
        ],
        inputs={"x": (4, 4)},
        outputs={"y": (4, 4)},
        constants={"big": big, "one": np.ones(4, np.float32), "weight": np.eye(4, dtype=np.float32)},
    )
    plan = plan_precision(model, "fp16")
    assert plan.wide == {"a", "b", "c", "d"}
    assert {one.output for one in plan.kept} == {"a", "d"}
    assert len(_casts(with_precision(model, "fp16").model)) == 2  # into the product, and to the output


def test_constant_that_is_zero_in_fp16_keeps_its_node() -> None:
    model = model_of(
        [
            helper.make_node("Relu", ["x"], ["a"]),
            helper.make_node("Add", ["a", "epsilon"], ["b"]),
            helper.make_node("MatMul", ["b", "weight"], ["y"]),
        ],
        inputs={"x": (4, 4)},
        outputs={"y": (4, 4)},
        constants={"epsilon": np.array(1e-12, np.float32), "weight": np.eye(4, dtype=np.float32)},
    )
    assert [(one.output, "zero" in one.reason) for one in plan_precision(model, "fp16").kept] == [("b", True)]
    assert not plan_precision(model, "bf16").kept


def test_bounds_beyond_fp16_become_its_largest() -> None:
    model = model_of(
        [helper.make_node("Clip", ["x", "low", "high"], ["a"]), helper.make_node("MatMul", ["a", "weight"], ["y"])],
        inputs={"x": (2, 2)},
        outputs={"y": (2, 2)},
        constants={
            "low": np.array(-3e38, np.float32),
            "high": np.array(np.inf, np.float32),
            "weight": np.eye(2, dtype=np.float32),
        },
    )
    constants = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in with_precision(model, "fp16").model.graph.initializer
    }
    assert constants["low/fp16"] == -65504
    assert np.isinf(constants["high/fp16"])


@pytest.mark.parametrize("values", [[1.0, 1.00390625, 1.0078125, 3.4e38, -3.3e38, 1e-40, 0.0, -0.0, np.inf]])
def test_bfloat16_rounding_is_to_nearest_even(values: list[float]) -> None:
    import ml_dtypes

    array = np.array(values, np.float32)
    ours = numpy_helper.to_array(narrow_constant(numpy_helper.from_array(array, "x"), "y", "bf16")).astype(np.float32)
    theirs = array.astype(ml_dtypes.bfloat16).astype(np.float32)
    overflown = np.isinf(theirs) & np.isfinite(array)  # finite values stay finite here
    np.testing.assert_array_equal(ours[~overflown], theirs[~overflown])
    assert np.isfinite(ours[overflown]).all()


def test_quantised_graph_keeps_its_integers_and_gets_narrow_scales() -> None:
    model = _quantised(scale=0.02)
    result = with_precision(model, "fp16").model
    onnx.checker.check_model(result, full_check=True)
    constants = {tensor.name: tensor.data_type for tensor in result.graph.initializer}
    scales = [(node.op_type, constants[node.input[1]]) for node in result.graph.node if node.op_type in ops.QUANTIZERS]
    assert sorted(scales) == [
        ("DequantizeLinear", TensorProto.FLOAT16),
        ("DequantizeLinear", TensorProto.FLOAT16),
        ("QuantizeLinear", TensorProto.FLOAT),  # reads the float32 input itself: no cast before it
    ]
    assert [node.input[0] for node in _casts(result)] == ["y/fp16"]
    assert {entry.key for entry in result.metadata_props} == {"detrt.test"}
    feeds = {"x": np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32)}
    difference = _run(emulated(result), feeds)["y"] - _run(model, feeds)["y"]
    assert np.abs(difference).mean() < 0.02


def test_scale_below_fp16_normal_numbers_stays_in_float32() -> None:
    kept = {one.op: one.reason for one in plan_precision(_quantised(scale=1e-6), "fp16").kept}
    assert "scales" in kept["QuantizeLinear"]
    assert "scales" in kept["DequantizeLinear"]


def test_quantisers_draw_no_more_of_the_network_into_float32() -> None:
    model = norm(gain=1.0)
    alone = plan_precision(model, "fp16").wide
    quantised = InsertQuantizers(
        TensorProto.INT8, {"normed": np.array(0.02, np.float32)}, frozenset({("y", 0)}), weights={}
    )(model).model
    assert alone
    assert plan_precision(quantised, "fp16").wide == alone


def test_ranges_of_another_model_are_refused() -> None:
    model = norm(gain=1.0)
    ranges = measure_ranges(model, [{"x": np.ones((1, 4, 8), np.float32)}])
    with pytest.raises(GraphError, match="ranges were measured"):
        plan_precision(norm(gain=2.0), "fp16", ranges=ranges)
    with pytest.raises(GraphError, match="bf16"):
        plan_precision(model, "bf16", ranges=ranges)


def test_narrow_graph_is_refused_but_builds_as_it_is() -> None:
    narrow = with_precision(network(), "fp16").model
    with pytest.raises(GraphError, match="half-precision"):
        with_precision(narrow, "fp16")
    assert not with_precision(narrow, "fp32").changed


def test_control_flow_is_refused() -> None:
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["z"], value_float=1.0)],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [])],
    )
    model = model_of(
        [helper.make_node("If", ["condition"], ["y"], then_branch=branch, else_branch=branch)],
        inputs={},
        outputs={"y": ()},
        constants={"condition": np.array(True)},
    )
    with pytest.raises(GraphError, match="graph of its own"):
        with_precision(model, "fp16")


def test_constant_nodes_and_fills_get_types_too() -> None:
    model = model_of(
        [
            helper.make_node("Constant", [], ["half"], value_float=0.5),
            helper.make_node("Shape", ["x"], ["shape"]),
            helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
            helper.make_node("Add", ["x", "zeros"], ["a"]),
            helper.make_node("Mul", ["a", "half"], ["b"]),
            helper.make_node("MatMul", ["b", "weight"], ["y"]),
        ],
        inputs={"x": (2, 2)},
        outputs={"y": (2, 2)},
        constants={"weight": np.eye(2, dtype=np.float32)},
    )
    result = with_precision(model, "fp16").model
    onnx.checker.check_model(result, full_check=True)
    assert len(_casts(result)) == 2
    feeds = {"x": np.array([[1, 2], [3, 4]], np.float32)}
    np.testing.assert_array_equal(_run(emulated(result), feeds)["y"], feeds["x"] / 2)


def test_every_mixed_operator_has_inputs_of_one_type() -> None:
    """What a strongly typed network asks for: no node of a detector reads two float types."""
    result = with_precision(detector_tail(), "fp16").model
    index = onnx.shape_inference.infer_shapes(result, strict_mode=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*index.input, *index.value_info, *index.output)}
    types |= {tensor.name: tensor.data_type for tensor in index.initializer}
    floats = {TensorProto.FLOAT, TensorProto.FLOAT16}
    for node in index.node:
        assert len({types[name] for name in node.input if types[name] in floats}) <= 1, key_of(node)


def _quantised(scale: float) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    model = model_of(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["xq"]),
            helper.make_node("DequantizeLinear", ["xq", "scale", "zero"], ["xd"]),
            helper.make_node("DequantizeLinear", ["weight", "scales", "zeros"], ["wd"], axis=0),
            helper.make_node("Conv", ["xd", "wd"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            helper.make_node("ReduceMean", ["a"], ["b"], axes=[1], keepdims=1),
            helper.make_node("Conv", ["b", "last"], ["y"], kernel_shape=[1, 1]),
        ],
        inputs={"x": (1, 4, 8, 8)},
        outputs={"y": (1, 2, 8, 8)},
        constants={
            "scale": np.array(scale, np.float32),
            "zero": np.array(0, np.int8),
            "weight": rng.integers(-127, 128, (4, 4, 3, 3), np.int8),
            "scales": np.full(4, 0.001, np.float32),
            "zeros": np.zeros(4, np.int8),
            "last": rng.standard_normal((2, 1, 1, 1)).astype(np.float32),
        },
    )
    helper.set_model_props(model, {"detrt.test": "kept"})
    return model


def _casts(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == "Cast" and not _from_integers(node)]


def _from_integers(node: onnx.NodeProto) -> bool:
    return node.input[0] == "sizes"


def _run(model: onnx.ModelProto, feeds: dict[str, Array]) -> dict[str, Array]:
    with OnnxRuntime(model.SerializeToString(), device="cpu", threads=1) as runtime:
        return runtime.run(feeds)
