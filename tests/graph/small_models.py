"""Models of a few nodes that stand for parts of a detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from detrt.runtime.base import Array

Shape = tuple[int | str, ...]


def model_of(
    nodes: Sequence[NodeProto],
    *,
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape],
    constants: Mapping[str, Array],
    opset: int = 17,
) -> onnx.ModelProto:
    """A checked model; inputs called `sizes` are int64, everything else is float32."""
    graph = helper.make_graph(
        list(nodes),
        "small",
        [_value(name, shape) for name, shape in inputs.items()],
        [_value(name, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def network() -> onnx.ModelProto:
    """Convolution, SiLU, convolution."""
    rng = np.random.default_rng(0)
    return model_of(
        [
            helper.make_node("Conv", ["images", "w1", "b1"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            helper.make_node("Sigmoid", ["a"], ["s"]),
            helper.make_node("Mul", ["a", "s"], ["b"]),
            helper.make_node("Conv", ["b", "w2"], ["features"], kernel_shape=[1, 1]),
        ],
        inputs={"images": ("N", 3, 16, 16)},
        outputs={"features": ("N", 4, 16, 16)},
        constants={
            "w1": rng.standard_normal((8, 3, 3, 3)).astype(np.float32),
            "b1": rng.standard_normal(8).astype(np.float32),
            "w2": rng.standard_normal((4, 8, 1, 1)).astype(np.float32),
        },
    )


def detector_tail() -> onnx.ModelProto:
    """Hidden queries (1, 10, 8) to boxes in pixels, and scores: two heads, a reference, and the original sizes."""
    rng = np.random.default_rng(0)
    return model_of(
        [
            helper.make_node("MatMul", ["images", "w0"], ["hidden"]),
            helper.make_node("MatMul", ["hidden", "w1"], ["delta"]),
            helper.make_node("Add", ["delta", "b1"], ["delta/biased"]),
            helper.make_node("Add", ["delta/biased", "reference"], ["moved"]),
            helper.make_node("Sigmoid", ["moved"], ["unit"]),
            helper.make_node("Cast", ["sizes"], ["sizes/float"], to=TensorProto.FLOAT),
            helper.make_node("Concat", ["sizes/float", "sizes/float"], ["extent"], axis=1),
            helper.make_node("Mul", ["unit", "extent"], ["boxes"]),
            helper.make_node("MatMul", ["hidden", "w2"], ["logits"]),
            helper.make_node("Sigmoid", ["logits"], ["scores"]),
        ],
        inputs={"images": (1, 10, 8), "sizes": (1, 2)},
        outputs={"boxes": (1, 10, 4), "scores": (1, 10, 5)},
        constants={
            "w0": rng.standard_normal((8, 8)).astype(np.float32),
            "w1": (0.001 * rng.standard_normal((8, 4))).astype(np.float32),
            "b1": np.zeros(4, np.float32),
            "w2": rng.standard_normal((8, 5)).astype(np.float32),
            "reference": rng.uniform(-4, 4, (1, 10, 4)).astype(np.float32),
        },
    )


def norm(gain: float) -> onnx.ModelProto:
    """RMS norm of x (1, 4, 8) times `gain`, as exporters take it apart, then a product."""
    return model_of(
        [
            helper.make_node("MatMul", ["x", "enlarge"], ["a"]),
            helper.make_node("Pow", ["a", "two"], ["squares"]),
            helper.make_node("ReduceMean", ["squares"], ["mean"], axes=[-1], keepdims=1),
            helper.make_node("Add", ["mean", "epsilon"], ["safe"]),
            helper.make_node("Sqrt", ["safe"], ["root"]),
            helper.make_node("Div", ["a", "root"], ["normed"]),
            helper.make_node("MatMul", ["normed", "weight"], ["y"]),
        ],
        inputs={"x": (1, 4, 8)},
        outputs={"y": (1, 4, 8)},
        constants={
            "enlarge": (gain * np.eye(8)).astype(np.float32),
            "two": np.array(2, np.float32),
            "epsilon": np.array(1e-6, np.float32),
            "weight": np.eye(8, dtype=np.float32),
        },
    )


def _value(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT64 if name == "sizes" else TensorProto.FLOAT, list(shape))
