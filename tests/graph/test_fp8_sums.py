"""Room for the sums of FP8 products: nothing overflows FP16, and nothing else changes."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from detrt.graph.fp8_sums import LEAST_TOP, room_for_sums
from detrt.graph.precision import with_precision
from detrt.runtime.onnxruntime import OnnxRuntime

Array = npt.NDArray[Any]
WIDTH, OUTPUTS = 300, 8
FP16_LARGEST = 65504


def test_no_input_at_all_can_overflow_a_sum() -> None:
    model = linear()
    codes, scales = weight_of(model)
    assert worst_sum(codes) > 20 * FP16_LARGEST
    roomy = room_for_sums(model).model
    smaller, larger = weight_of(roomy)
    assert worst_sum(smaller) < FP16_LARGEST
    step = 2.0**-9 * larger  # of the smallest codes
    np.testing.assert_allclose(smaller * larger, codes * scales, atol=float(step.max()) / 2, rtol=0)
    x = inputs()
    assert np.abs(run(roomy, x) - run(model, x)).max() < 0.01 * run(model, x).std()


def test_a_quantiser_of_a_constant_is_rescaled_with_its_dequantiser() -> None:
    model = linear(stored=False)
    roomy = room_for_sums(model).model
    pair = [node for node in roomy.graph.node if node.input[0].startswith("w")]
    assert [node.op_type for node in pair] == ["QuantizeLinear", "DequantizeLinear"]
    assert pair[0].input[1] == pair[1].input[1] != "w_scale"
    x = inputs()
    assert np.abs(run(roomy, x) - run(model, x)).max() < 0.01 * run(model, x).std()


def test_a_weight_that_two_products_read_is_a_constant_for_both() -> None:
    model = linear()
    model.graph.node.extend([*quantised("u"), helper.make_node("MatMul", ["u_float", "w_float"], ["z"])])
    narrow = np.dtype(ml_dtypes.float8_e4m3fn)
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in scaling("u", 3, narrow).items()
    )
    for values, name in ((model.graph.input, "u"), (model.graph.output, "z")):
        values.add().CopyFrom(values[0])
        values[-1].name = name
    stored = {tensor.name: tensor for tensor in room_for_sums(model).model.graph.initializer}
    assert worst_sum(weight_of(room_for_sums(model).model)[0]) < FP16_LARGEST
    assert {"x_scale", "u_scale"} <= stored.keys()  # as they were: no activations multiply one another


def test_very_wide_products_keep_their_precision() -> None:
    codes, _ = weight_of(room_for_sums(linear(width=20_000)).model)
    assert np.abs(codes).max(0).min() >= LEAST_TOP


def test_of_two_activations_both_give_way() -> None:
    model = attention()
    roomy, changed = room_for_sums(model)
    assert changed
    before, after = scales_of(model), scales_of(roomy)
    assert [new / old for old, new in zip(before, after, strict=True)] == [16, 16, 16, 16]
    x = np.random.default_rng(1).uniform(-1, 1, (2, 6, 16)).astype(np.float32)
    assert np.abs(run(roomy, x) - run(model, x)).max() < 1e-3 * run(model, x).std()


@pytest.mark.parametrize("which", ["stored codes", "quantised constant", "attention"])
def test_the_second_time_there_is_nothing_to_do(which: str) -> None:
    model = {"stored codes": linear(), "quantised constant": linear(stored=False), "attention": attention()}[which]
    roomy = room_for_sums(model).model
    onnx.checker.check_model(roomy)
    again, changed = room_for_sums(roomy)
    assert not changed
    assert again is roomy


def test_int8_needs_no_room() -> None:
    model = linear(TensorProto.INT8)
    assert room_for_sums(model) == (model, False)


def test_fp16_around_fp8_brings_it() -> None:
    codes, _ = weight_of(with_precision(linear(), "fp16").model)
    assert worst_sum(codes) < FP16_LARGEST
    assert worst_sum(weight_of(with_precision(linear(), "bf16").model)[0]) > FP16_LARGEST


def worst_sum(codes: Array) -> float:
    """Of one output channel, when every input has the largest code and the weight's sign."""
    return float(448 * np.abs(codes).sum(0).max())


def linear(kind: int = TensorProto.FLOAT8E4M3FN, *, width: int = WIDTH, stored: bool = True) -> onnx.ModelProto:
    """x (4, width) times w (width, 8), both quantised; w as codes, or in float32 with a quantiser of its own."""
    narrow = np.dtype(ml_dtypes.float8_e4m3fn if kind == TensorProto.FLOAT8E4M3FN else np.int8)
    top = 448 if kind == TensorProto.FLOAT8E4M3FN else 127
    weight = np.random.default_rng(0).uniform(-0.5, 0.5, (width, OUTPUTS)).astype(np.float32)
    scale = np.abs(weight).max(0) / top
    kept = {"w": (weight / scale).astype(narrow)} if stored else {"w": weight}
    own = [] if stored else [helper.make_node("QuantizeLinear", ["w", "w_scale", "w_zero"], ["w_codes"], axis=1)]
    nodes = [
        *quantised("x"),
        *own,
        helper.make_node("DequantizeLinear", ["w" if stored else "w_codes", "w_scale", "w_zero"], ["w_float"], axis=1),
        helper.make_node("MatMul", ["x_float", "w_float"], ["y"]),
    ]
    constants = kept | {"w_scale": scale, "w_zero": np.zeros(OUTPUTS, narrow)} | scaling("x", 3 / top, narrow)
    return model_of(nodes, constants, (4, width), (4, OUTPUTS))


def attention() -> onnx.ModelProto:
    """x (2, 6, 16) times itself, transposed."""
    narrow = np.dtype(ml_dtypes.float8_e4m3fn)
    nodes = [
        *quantised("x"),
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        *quantised("t"),
        helper.make_node("MatMul", ["x_float", "t_float"], ["y"]),
    ]
    return model_of(nodes, scaling("x", 1 / 448, narrow) | scaling("t", 1 / 448, narrow), (2, 6, 16), (2, 6, 6))


def quantised(name: str) -> list[NodeProto]:
    scaling = [f"{name}_scale", f"{name}_zero"]
    return [
        helper.make_node("QuantizeLinear", [name, *scaling], [f"{name}_codes"]),
        helper.make_node("DequantizeLinear", [f"{name}_codes", *scaling], [f"{name}_float"]),
    ]


def scaling(name: str, scale: float, narrow: np.dtype[Any]) -> dict[str, Array]:
    return {f"{name}_scale": np.array(scale, np.float32), f"{name}_zero": np.zeros((), narrow)}


def model_of(
    nodes: list[NodeProto], constants: dict[str, Array], given: tuple[int, ...], made: tuple[int, ...]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, given)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, made)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def weight_of(model: onnx.ModelProto) -> tuple[Array, Array]:
    """Codes and scales of the stored weight, float32."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    node = next(node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in stored)
    codes, scale = (stored[name].astype(np.float32) for name in node.input[:2])
    return codes, scale


def scales_of(model: onnx.ModelProto) -> list[float]:
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return [float(stored[node.input[1]]) for node in model.graph.node if node.op_type.endswith("Linear")]


def inputs() -> Array:
    return np.random.default_rng(2).uniform(-3, 3, (4, WIDTH)).astype(np.float32)


def run(model: onnx.ModelProto, x: Array) -> Array:
    with OnnxRuntime(model.SerializeToString(), device="cpu") as runtime:
        return runtime.run({"x": x})["y"]
