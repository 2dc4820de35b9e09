"""Graphs of a few nodes, quantised whole: what a product can look like that the toy detector has none of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from detrt.graph.index import GraphIndex
from detrt.graph.products import find_products
from detrt.quantize.centring import Centring, find_centring, find_moments
from detrt.quantize.observers import observe
from detrt.quantize.quantizer import Calibrated, Quantizer, Settings
from detrt.runtime.onnxruntime import OnnxRuntime

Array = npt.NDArray[Any]
Feeds = Sequence[Mapping[str, Array]]


def graph_of(
    nodes: Sequence[NodeProto], constants: Mapping[str, Array], feeds: Feeds, outputs: Sequence[str] = ("y",)
) -> onnx.ModelProto:
    """A model whose inputs are those of `feeds`; everything is float32."""
    graph = helper.make_graph(
        list(nodes),
        "few",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in feeds[0].items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model)


def quantised(model: onnx.ModelProto, feeds: Feeds, settings: Settings) -> onnx.ModelProto:
    """All of its products made narrow, calibrated on `feeds`."""
    plain = GraphIndex(model)
    products, found = find_products(plain), Centring()
    if settings.centred:
        found = find_centring(plain, products, find_moments(plain, products, feeds))
    graph = GraphIndex(found.of(found.biases)(plain.model).model)
    inside = find_products(graph)
    calibrated = Calibrated(plain.model, found, graph, inside, observe(graph, inside, feeds, total=len(feeds)))
    small = Quantizer(calibrated, settings).model({product.key for product in products})
    onnx.checker.check_model(small)
    return small


def outputs_of(model: onnx.ModelProto, feeds: Feeds) -> dict[str, Array]:
    """What the model gives, all feeds behind one another."""
    with OnnxRuntime(model.SerializeToString(), device="cpu") as runtime:
        given = [runtime.run(feed) for feed in feeds]
    return {name: np.concatenate([one[name].ravel() for one in given]) for name in given[0]}


def errors(model: onnx.ModelProto, small: onnx.ModelProto, feeds: Feeds) -> dict[str, tuple[float, float]]:
    """Root mean square of each output's error, and its mean's size, both in parts of the output's spread."""
    exact, rounded = outputs_of(model, feeds), outputs_of(small, feeds)
    return {
        name: (
            float(np.sqrt(np.square(rounded[name] - value).mean()) / value.std()),
            float(abs((rounded[name] - value).mean()) / value.std()),
        )
        for name, value in exact.items()
    }
