"""The fused offsets node: the origin's captured case, and graphs as exporters write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from detrt.graph.fuse_offsets import fuse_offsets
from detrt.graph.multi_head_offsets import NAME
from detrt.runtime.onnxruntime import OnnxRuntime

Array = npt.NDArray[Any]

QUERIES, WIDTH, POINTS, HEADS = 7, 16, 3, 4
CONSTANTS = dict[str, Array]


def _linear(name: str, outputs: int, style: str, constants: CONSTANTS, rng: np.random.Generator) -> list[Any]:
    """Nodes of one quantised linear on `codes`, as `style` writes it."""
    weight = rng.normal(size=(outputs, WIDTH)).astype(np.float32)
    scale = (np.abs(weight).max(axis=1) / 127).astype(np.float32)
    zero = np.zeros(outputs, np.int8)
    constants |= {f"{name}.bias": rng.normal(size=outputs).astype(np.float32), f"{name}.s": scale, f"{name}.z": zero}
    sides = (f"{name}.s", f"{name}.z")
    if style == "transpose":  # ModelOpt through the TorchScript exporter: float weights behind Q and DQ
        constants[f"{name}.w"] = weight
        nodes = [
            helper.make_node("QuantizeLinear", [f"{name}.w", *sides], [f"{name}.q"], axis=0),
            helper.make_node("DequantizeLinear", [f"{name}.q", *sides], [f"{name}.dq"], axis=0),
            helper.make_node("Transpose", [f"{name}.dq"], [f"{name}.t"], perm=[1, 0]),
        ]
        right = f"{name}.t"
    else:  # folded: int8 weights
        codes = np.clip(np.round(weight / scale[:, None]), -128, 127).astype(np.int8)
        constants[f"{name}.w"] = codes if style == "gemm" else codes.T.copy()
        axis = 0 if style == "gemm" else 1
        nodes = [helper.make_node("DequantizeLinear", [f"{name}.w", *sides], [f"{name}.dq"], axis=axis)]
        right = f"{name}.dq"
    if style == "gemm":
        nodes.append(helper.make_node("Gemm", ["x.dq", right, f"{name}.bias"], [name], transB=1))
    else:
        nodes.append(helper.make_node("MatMul", ["x.dq", right], [f"{name}.product"]))
        nodes.append(helper.make_node("Add", [f"{name}.bias", f"{name}.product"], [name]))
    return nodes


def decoder_layer(style: str, *, softmax: bool = True) -> onnx.ModelProto:
    """x -> Q -> DQ -> two linears -> offsets (N, Q, H, P, 2) and weights (N, Q, H, P)."""
    rng = np.random.default_rng(3)
    constants: CONSTANTS = {
        "x.s": np.array(0.031, np.float32),
        "x.z": np.array(0, np.int8),
        "offsets.shape": np.array([-1, QUERIES, HEADS, POINTS, 2], np.int64),
        "weights.shape": np.array([-1, QUERIES, HEADS, POINTS], np.int64),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x.s", "x.z"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "x.s", "x.z"], ["x.dq"]),
        *_linear("sampling", 2 * HEADS * POINTS, style, constants, rng),
        *_linear("attending", HEADS * POINTS, style, constants, rng),
        helper.make_node("Reshape", ["sampling", "offsets.shape"], ["offsets"]),
        helper.make_node("Reshape", ["attending", "weights.shape"], ["logits"]),
        helper.make_node("Softmax" if softmax else "Identity", ["logits"], ["weights"]),
    ]
    leading = ["rows"] if style == "gemm" else ["N", QUERIES]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [*leading, WIDTH])],
        [
            helper.make_tensor_value_info("offsets", TensorProto.FLOAT, ["N", QUERIES, HEADS, POINTS, 2]),
            helper.make_tensor_value_info("weights", TensorProto.FLOAT, ["N", QUERIES, HEADS, POINTS]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


@pytest.mark.parametrize("style", ["transpose", "folded", "gemm"])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_fused_node_computes_what_the_two_linears_did(style: str, batch: int) -> None:
    model = decoder_layer(style)
    fused, changed = fuse_offsets(model)
    onnx.checker.check_model(fused)
    assert changed
    assert [node.op_type for node in fused.graph.node].count(NAME) == 1
    assert not any(node.op_type in ("MatMul", "Gemm", "Add") for node in fused.graph.node)
    x = np.random.default_rng(0).normal(size=(batch, QUERIES, WIDTH)).astype(np.float32)
    feeds = {"x": x.reshape(-1, WIDTH) if style == "gemm" else x}
    wanted = OnnxRuntime(model.SerializeToString(), device="cpu").run(feeds)
    found = OnnxRuntime(fused.SerializeToString(), device="cpu").run(feeds)
    reference = ReferenceEvaluator(fused).run(None, feeds)
    for (name, value), other in zip(wanted.items(), reference, strict=True):
        np.testing.assert_allclose(found[name], value, atol=1e-5)
        np.testing.assert_allclose(other, value, atol=1e-5)


def test_the_captured_case_of_the_origin(shared: Path) -> None:
    """Decoder layer 0 of RT-DETRv2-R18, INT8, one image: stored input, weights and outputs."""

    def stored(name: str, dtype: Any, *shape: int) -> Array:
        return np.fromfile(shared / "plugin_case" / f"{name}.bin", dtype).reshape(shape or -1)

    constants = {"x.s": stored("input_scale", np.float32)[0], "x.z": stored("input_offset", np.int8)[0]}
    nodes = [helper.make_node("DequantizeLinear", ["codes", "x.s", "x.z"], ["x"])]
    for part, outputs in (("sp", 192), ("attn", 96)):
        constants |= {
            f"{part}.w": stored(f"int8_{part}_weight", np.int8, outputs, 256),
            f"{part}.s": stored(f"{part}_weight_scale", np.float32),
            f"{part}.z": stored(f"{part}_weight_offset", np.int8),
            f"{part}.b": stored(f"{part}_fp32_bias", np.float32),
        }
        sides = (f"{part}.w", f"{part}.s", f"{part}.z")
        nodes += [
            helper.make_node("DequantizeLinear", sides, [f"{part}.dq"], axis=0),
            helper.make_node("Transpose", [f"{part}.dq"], [f"{part}.t"], perm=[1, 0]),
            helper.make_node("MatMul", ["x", f"{part}.t"], [f"{part}.product"]),
            helper.make_node("Add", [f"{part}.b", f"{part}.product"], [part]),
        ]
    nodes.append(helper.make_node("Softmax", ["attn"], ["weights"]))
    graph = helper.make_graph(
        nodes,
        "captured",
        [helper.make_tensor_value_info("codes", TensorProto.INT8, ["N", 300, 256])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("attn", "sp", "weights")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    fused, changed = fuse_offsets(model)
    assert changed
    codes = stored("input_int8", np.int8, 1, 300, 256)
    wanted = {"attn": stored("output_attn", np.float32, 1, 300, 96), "sp": stored("output_sp", np.float32, 1, 300, 192)}
    twice = OnnxRuntime(fused.SerializeToString(), device="cpu").run({"codes": np.concatenate([codes, codes])})
    reference = ReferenceEvaluator(fused).run(["attn", "sp"], {"codes": codes})
    for (name, value), other in zip(wanted.items(), reference, strict=True):
        np.testing.assert_allclose(other, value, atol=1e-5)
        for row in twice[name]:
            np.testing.assert_allclose(row, value[0], atol=1e-5)


def test_zero_points_count() -> None:
    model = decoder_layer("folded")
    for tensor in model.graph.initializer:
        if tensor.name in ("x.z", "sampling.z"):
            value = numpy_helper.to_array(tensor) + np.int8(5)
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.int8), tensor.name))
    fused = fuse_offsets(model).model
    feeds = {"x": np.random.default_rng(1).normal(size=(1, QUERIES, WIDTH)).astype(np.float32)}
    wanted = OnnxRuntime(model.SerializeToString(), device="cpu").run(feeds)
    found = OnnxRuntime(fused.SerializeToString(), device="cpu").run(feeds)
    np.testing.assert_allclose(found["offsets"], wanted["offsets"], atol=1e-5)


def test_linears_with_quantisers_of_their_own_are_one_pair() -> None:
    """Without a simplifier, each linear has its own Q and DQ of the same tensor."""
    model = decoder_layer("folded")
    second = [
        helper.make_node("QuantizeLinear", ["x", "x.s", "x.z"], ["codes2"]),
        helper.make_node("DequantizeLinear", ["codes2", "x.s", "x.z"], ["x2.dq"]),
    ]
    nodes = list(model.graph.node)
    product = next(node for node in nodes if node.output[0] == "attending.product")
    product.input[0] = "x2.dq"
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:2], *second, *nodes[2:]])
    fused, changed = fuse_offsets(model)
    assert changed
    assert [node.op_type for node in fused.graph.node].count("QuantizeLinear") == 1
    onnx.checker.check_model(fused)


def test_nothing_else_is_taken_for_a_pair() -> None:
    for model in (decoder_layer("folded", softmax=False), fuse_offsets(decoder_layer("folded")).model):
        same, changed = fuse_offsets(model)
        assert not changed
        assert same is model


def test_the_argument_is_left_alone() -> None:
    model = decoder_layer("transpose")
    before = model.SerializeToString()
    fuse_offsets(model)
    assert model.SerializeToString() == before
