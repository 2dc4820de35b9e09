"""A small detector with every part that the family has, for tests: quick to run, and with objects to find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

SIDE = 64
WIDTH = 16
QUERIES = 10
CLASSES = 4


class _Graph:
    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._rng = np.random.default_rng(seed)

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=f"/net/{name}", **attributes))
        return name

    def constant(self, value: Any, kind: Any = np.float32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def weight(self, *shape: int) -> str:
        fan_in = np.prod(shape[1:]) if len(shape) == 4 else shape[0]
        return self.constant(self._rng.standard_normal(shape) * np.sqrt(2 / fan_in))

    def conv(self, x: str, before: int, after: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> str:
        weight, bias = self.weight(after, before // groups, kernel, kernel), self.constant(np.full(after, 0.1))
        pads = [kernel // 2] * 4
        return self.add("Conv", x, weight, bias, strides=[stride] * 2, pads=pads, group=groups)

    def linear(self, x: str, before: int, after: int, scale: float = 1.0) -> str:
        weight = self.constant(self._rng.standard_normal((before, after)) * scale / np.sqrt(before))
        return self.add("Add", self.add("MatMul", x, weight), self.constant(np.zeros(after)))


def toy_detector(seed: int = 0) -> onnx.ModelProto:
    """Backbone, pyramid, query selection, one decoder layer with self-attention and grid sampling, heads."""
    g = _Graph(seed)
    x = g.add("Relu", g.conv("images", 3, 8, stride=2))
    x = g.add("Relu", g.conv(x, 8, 16, stride=2))
    x = g.add("Relu", g.add("Add", g.conv(g.add("Relu", g.conv(x, 16, 16)), 16, 16), x))
    fine = g.add("Relu", g.conv(x, 16, WIDTH, stride=2))
    x = g.conv(fine, WIDTH, WIDTH, groups=WIDTH)
    coarse = g.conv(g.add("Relu", g.conv(x, WIDTH, WIDTH, stride=2)), WIDTH, WIDTH, kernel=1)
    scales = g.constant([1, 1, 2, 2])
    upper = g.add("Resize", coarse, "", scales, mode="nearest")
    memory = g.add("Relu", g.conv(g.add("Concat", upper, fine, axis=1), 2 * WIDTH, WIDTH, kernel=1))
    tokens = g.add("Transpose", g.add("Reshape", memory, g.constant([0, WIDTH, -1], np.int64)), perm=[0, 2, 1])
    best = g.add("ReduceMax", g.linear(tokens, WIDTH, CLASSES), axes=[2], keepdims=0)
    g.nodes.append(helper.make_node("TopK", [best, g.constant([QUERIES], np.int64)], ["top", "index"], axis=1))
    index = g.add("Unsqueeze", "index", g.constant([2], np.int64))
    spread = g.add("Expand", index, g.constant([1, 1, WIDTH], np.int64))
    queries = g.add("GatherElements", tokens, spread, axis=1)
    boxes = g.add("Sigmoid", g.linear(queries, WIDTH, 4))
    placed = g.add("Add", queries, g.linear(boxes, 4, WIDTH, 0.5))
    keys = g.add("Transpose", g.linear(placed, WIDTH, WIDTH), perm=[0, 2, 1])
    weights = g.add("Softmax", g.add("MatMul", g.linear(placed, WIDTH, WIDTH), keys), axis=-1)
    attended = g.linear(g.add("MatMul", weights, g.linear(queries, WIDTH, WIDTH)), WIDTH, WIDTH)
    queries = g.add("Add", queries, attended)
    offsets = g.add("Reshape", g.linear(queries, WIDTH, 6, 0.1), g.constant([0, QUERIES, 3, 2], np.int64))
    grid = g.add("Tanh", offsets)
    sampled = g.add("GridSample", memory, grid, align_corners=0)  # (N, WIDTH, QUERIES, 3)
    shares = g.add("Softmax", g.linear(queries, WIDTH, 3), axis=-1)
    shares = g.add("Unsqueeze", shares, g.constant([1], np.int64))
    summed = g.add("ReduceSum", g.add("Mul", sampled, shares), g.constant([3], np.int64), keepdims=0)
    queries = g.add("Add", queries, g.linear(g.add("Transpose", summed, perm=[0, 2, 1]), WIDTH, WIDTH))
    hidden = g.add("Relu", g.linear(queries, WIDTH, 2 * WIDTH))
    queries = g.add("Add", queries, g.linear(hidden, 2 * WIDTH, WIDTH))
    scores = g.add("Sigmoid", g.linear(queries, WIDTH, CLASSES))
    shift = g.linear(queries, WIDTH, 4, 0.2)
    corner, extent = g.constant([1, 1, 0, 0]), g.constant([0, 0, 1, 1])
    moved = g.add("Sigmoid", shift)
    low = g.add("Mul", moved, g.constant([0.4, 0.4, 0.4, 0.4]))
    sizes = g.add("Cast", "orig_target_sizes", to=TensorProto.FLOAT)
    doubled = g.add("Unsqueeze", g.add("Concat", sizes, sizes, axis=1), g.constant([1], np.int64))
    left = g.add("Mul", low, corner)
    right = g.add("Mul", g.add("Add", low, g.constant([0.5, 0.5, 0.5, 0.5])), extent)
    g.nodes.append(helper.make_node("Mul", [g.add("Add", left, right), doubled], ["boxes"], name="/net/boxes"))
    g.nodes.append(helper.make_node("ReduceMax", [scores], ["scores"], axes=[2], keepdims=0, name="/net/scores"))
    g.nodes.append(helper.make_node("ArgMax", [scores], ["labels"], axis=2, keepdims=0, name="/net/labels"))
    graph = helper.make_graph(
        g.nodes,
        "toy",
        [
            helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, SIDE, SIDE]),
            helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, ["N", 2]),
        ],
        [
            helper.make_tensor_value_info("labels", TensorProto.INT64, ["N", QUERIES]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", QUERIES, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", QUERIES]),
        ],
        g.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def drawn_photos(folder: Path, count: int = 12) -> Path:
    """Photos of coloured blocks on noise, the same ones every time."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    for number in range(count):
        pixels = rng.integers(0, 80, (96, 128, 3), np.uint8)
        for _ in range(4):
            top, left = rng.integers(0, 60), rng.integers(0, 90)
            pixels[top : top + 30, left : left + 30] = rng.integers(60, 255, 3)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder
