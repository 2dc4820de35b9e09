"""Copies of a real detector with one fault each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]

OFFSETS = "/model/decoder/decoder/layers.{}/cross_attn/sampling_offsets/Add_output_0"
WEIGHTS = "/model/decoder/decoder/layers.{}/cross_attn/attention_weights/Add_output_0"
FFN = "/model/decoder/decoder/layers.1/swish_ffn/w3/MatMul"
CONV = "/model/backbone/stages.1/blocks/blocks.0/layers.1/conv/Conv"


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def changed(model: onnx.ModelProto, constant: str, change: Callable[[Array], Array]) -> onnx.ModelProto:
    """A copy in which one constant is another."""
    copy = copied(model)
    tensor = next(tensor for tensor in copy.graph.initializer if tensor.name == constant)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)).astype(np.float32), constant))
    return copy


def without_bias(model: onnx.ModelProto, layer: int) -> onnx.ModelProto:
    """The sampling offsets of one decoder layer without their bias."""
    return changed(model, f"model.decoder.decoder.layers.{layer}.cross_attn.sampling_offsets.bias", np.zeros_like)


def halved(model: onnx.ModelProto, node: str) -> onnx.ModelProto:
    """The weights of one node halved, as by a wrong scale."""
    weight = next(each for each in model.graph.node if each.name == node).input[1]
    return changed(model, weight, lambda value: value / 2)


def with_swapped_queries(model: onnx.ModelProto) -> onnx.ModelProto:
    """Queries 0 and 1, and 5 and 77, change places right after they were selected: no fault at all."""
    copy = copied(model)
    number, top_k = next((number, node) for number, node in enumerate(copy.graph.node) if node.op_type == "TopK")
    count = next(t for t in model.graph.initializer if t.name == top_k.input[1])
    order = np.arange(int(numpy_helper.to_array(count).reshape(-1)[0]))
    order[[0, 1, 5, 77]] = order[[1, 0, 77, 5]]
    indices = top_k.output[1]
    top_k.output[1] = indices + "/in_order"
    copy.graph.initializer.append(numpy_helper.from_array(order.astype(np.int64), "swapped"))
    copy.graph.node.insert(number + 1, helper.make_node("Gather", [top_k.output[1], "swapped"], [indices], axis=1))
    return copy


def quantised(model: onnx.ModelProto, ranges: dict[str, float]) -> onnx.ModelProto:
    """A copy in which the first input of each of these nodes goes through INT8, up to this largest magnitude."""
    copy = copied(model)
    for name, largest in ranges.items():
        number = next(number for number, node in enumerate(copy.graph.node) if node.name == name)
        node, scale, zero = copy.graph.node[number], f"{name}/scale", f"{name}/zero"
        copy.graph.initializer.append(numpy_helper.from_array(np.array(largest / 127, np.float32), scale))
        copy.graph.initializer.append(numpy_helper.from_array(np.array(0, np.int8), zero))
        pair = [
            helper.make_node("QuantizeLinear", [node.input[0], scale, zero], [f"{name}/codes"]),
            helper.make_node("DequantizeLinear", [f"{name}/codes", scale, zero], [f"{name}/rounded"]),
        ]
        node.input[0] = f"{name}/rounded"
        for new in reversed(pair):
            copy.graph.node.insert(number, new)
    return copy
