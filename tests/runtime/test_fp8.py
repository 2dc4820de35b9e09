"""FP8 quantisers must survive ONNX Runtime's own optimisations."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from detrt.runtime.onnxruntime import OnnxRuntime


def test_negative_values_stay_cut_off() -> None:
    kind = TensorProto.FLOAT8E4M3FN
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["x"], ["cut"]),
            helper.make_node("QuantizeLinear", ["cut", "scale", "zero"], ["codes"]),
            helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["y"]),
        ],
        "relu",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor("scale", TensorProto.FLOAT, [], [0.5]), helper.make_tensor("zero", kind, [], [0.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    with OnnxRuntime(model.SerializeToString(), device="cpu") as runtime:
        out = runtime.run({"x": np.array([[-3, -0.5, 0, 2]], np.float32)})["y"]
    assert out.tolist() == [[0, 0, 0, 2]]


def test_a_convolution_between_fp8_quantisers_runs() -> None:
    """ONNX Runtime before 1.32 makes an operator of it that takes no 8-bit floats, and then refuses the graph."""
    kind = TensorProto.FLOAT8E4M3FN
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["x8"]),
            helper.make_node("DequantizeLinear", ["x8", "scale", "zero"], ["x_"]),
            helper.make_node("QuantizeLinear", ["w", "scale", "zero"], ["w8"]),
            helper.make_node("DequantizeLinear", ["w8", "scale", "zero"], ["w_"]),
            helper.make_node("Conv", ["x_", "w_"], ["sum"]),
            helper.make_node("QuantizeLinear", ["sum", "scale", "zero"], ["y8"]),
            helper.make_node("DequantizeLinear", ["y8", "scale", "zero"], ["y"]),
        ],
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 1, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, 1])],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [], [0.5]),
            helper.make_tensor("zero", kind, [], [0.0]),
            helper.make_tensor("w", TensorProto.FLOAT, [1, 2, 1, 1], [1.5, -2.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    with OnnxRuntime(model.SerializeToString(), device="cpu") as runtime:
        out = runtime.run({"x": np.array([[[[3.0]], [[1.0]]]], np.float32)})["y"]
    assert out.ravel().tolist() == [2.5]
