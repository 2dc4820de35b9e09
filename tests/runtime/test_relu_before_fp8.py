"""A Relu before an FP8 quantiser must survive ONNX Runtime's own optimisations."""

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
