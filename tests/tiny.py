"""Detectors of a few nodes whose answers can be computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]

SIZE = (32, 48)  # height, width of the input
CLASSES = 3
BOX = (0.25, 0.5, 0.75, 1.0)  # x1, y1, x2, y2 as shares of the image


def deploy_model(*, batch: int | None = None, scores: tuple[float, ...] = (0.9, 0.2, 0.4)) -> onnx.ModelProto:
    """The family's deploy signature: three rows of one box, whatever the image; the labels are 0, 1, 2.

    The image's mean is added to the first score, so that a test can see that its pixels arrived.
    """
    n = "N" if batch is None else batch
    rows = len(scores)
    nodes = [
        helper.make_node("ReduceMean", ["images", "all_axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["mean_row"]),
        helper.make_node("Mul", ["mean_row", "first"], ["lift"]),
        helper.make_node("Add", ["base_scores", "lift"], ["scores"]),
        helper.make_node("Cast", ["orig_target_sizes"], ["sizes"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["sizes", "sizes"], ["whwh"], axis=1),
        helper.make_node("Unsqueeze", ["whwh", "one"], ["whwh_row"]),
        helper.make_node("Mul", ["whwh_row", "shares"], ["boxes"]),
        helper.make_node("Unsqueeze", ["mean", "one"], ["again"]),
        helper.make_node("Mul", ["again", "nothing"], ["zero_row"]),
        helper.make_node("Cast", ["zero_row"], ["zero_labels"], to=TensorProto.INT64),
        helper.make_node("Add", ["zero_labels", "base_labels"], ["labels"]),
    ]
    constants: dict[str, Array] = {
        "all_axes": np.array([1, 2, 3], np.int64),
        "one": np.array([1], np.int64),
        "first": np.eye(1, rows, dtype=np.float32),
        "nothing": np.zeros((1, rows), np.float32),
        "base_scores": np.array([scores], np.float32),
        "base_labels": np.arange(rows, dtype=np.int64)[None],
        "shares": np.tile(np.array(BOX, np.float32), (1, rows, 1)),
    }
    return _model(
        nodes,
        [
            helper.make_tensor_value_info("images", TensorProto.FLOAT, [n, 3, *SIZE]),
            helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [n, 2]),
        ],
        [
            helper.make_tensor_value_info("labels", TensorProto.INT64, [n, rows]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [n, rows, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [n, rows]),
        ],
        constants,
    )


def raw_model(logits: Array, boxes: Array, *, names: tuple[str, str] = ("logits", "boxes")) -> onnx.ModelProto:
    """Raw outputs: the given logits (Q, classes) and boxes (Q, 4) for every image of a batch."""
    nodes = [
        helper.make_node("ReduceMean", ["images", "all_axes"], ["mean"], keepdims=1),
        helper.make_node("Mul", ["mean", "zero"], ["nothing4"]),
        helper.make_node("Squeeze", ["nothing4", "last"], ["nothing"]),
        helper.make_node("Add", ["nothing", "the_logits"], [names[0]]),
        helper.make_node("Add", ["nothing", "the_boxes"], [names[1]]),
    ]
    constants: dict[str, Array] = {
        "all_axes": np.array([1, 2, 3], np.int64),
        "last": np.array([3], np.int64),
        "zero": np.zeros((1,), np.float32),
        "the_logits": logits[None].astype(np.float32),
        "the_boxes": boxes[None].astype(np.float32),
    }
    return _model(
        nodes,
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, *SIZE])],
        [
            helper.make_tensor_value_info(names[0], TensorProto.FLOAT, ["N", *logits.shape]),
            helper.make_tensor_value_info(names[1], TensorProto.FLOAT, ["N", *boxes.shape]),
        ],
        constants,
    )


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: dict[str, Array],
) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model
