"""A detector of two convolutions that finds something in every photo, and is quantised in no time."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from detrt.contract import ModelContract
from detrt.graph.onnx_file import with_contract

SIDE, QUERIES, CLASSES = 32, 6, 2
NAMES = ("cat", "dog")


def pebble() -> onnx.ModelProto:
    """images (N, 3, 32, 32) -> logits (N, 6, 2), boxes (N, 6, 4), with its contract."""
    rng = np.random.default_rng(3)
    values = {
        "w1": rng.standard_normal((6, 3, 8, 8)) / 8,
        "w2": rng.standard_normal((QUERIES * (CLASSES + 4), 6, 4, 4)) / 6,
        "rows": np.array([-1, QUERIES, CLASSES + 4]),
        "split": np.array([CLASSES, 4]),
    }
    nodes = [
        helper.make_node("Conv", ["images", "w1"], ["c1"], name="/stem/conv", strides=[8, 8]),
        helper.make_node("Relu", ["c1"], ["r1"], name="/stem/act"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], name="/head/conv"),
        helper.make_node("Reshape", ["c2", "rows"], ["table"], name="/head/rows"),
        helper.make_node("Split", ["table", "split"], ["logits", "places"], name="/head/split", axis=2),
        helper.make_node("Sigmoid", ["places"], ["boxes"], name="/head/boxes"),
    ]
    graph = helper.make_graph(
        nodes,
        "pebble",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", QUERIES, CLASSES]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", QUERIES, 4]),
        ],
        [
            numpy_helper.from_array(value.astype(np.int64 if name in ("rows", "split") else np.float32), name)
            for name, value in values.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    contract = ModelContract((SIDE, SIDE), output_form="raw", sizes_name=None, class_names=NAMES, family="pebble")
    return with_contract(model, contract)
