from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from detrt.graph.precision import with_precision
from detrt.graph.tap_convolutions import DEEP, tap_convolutions
from detrt.runtime.base import Array
from tests.graph.rewritten import outputs_of, require_close, require_untouched, rewritten
from tests.graph.small_models import Shape, model_of

SAME: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}


@pytest.mark.parametrize("bias", [True, False])
def test_taps_give_what_the_convolution_gives(bias: bool) -> None:
    model = convolution((1, DEEP, 7, 5), bias=bias, **SAME)
    result = rewritten(model, tap_convolutions)
    assert "Conv" not in {node.op_type for node in result.graph.node}
    assert all(node.name.startswith("/stage/Conv/") for node in result.graph.node)
    require_close(model, result, {"images": noise(1, DEEP, 7, 5)})


def test_half_precision_weights_stay_half_precision() -> None:
    model = with_precision(convolution((1, DEEP, 7, 5), **SAME), "fp16").model
    feeds = {"images": noise(1, DEEP, 7, 5)}
    result = rewritten(model, tap_convolutions)
    weight = next(tensor for tensor in result.graph.initializer if tensor.name.endswith("taps.weight"))
    assert weight.data_type == onnx.TensorProto.FLOAT16
    given, wanted = outputs_of(result, feeds)["map"], outputs_of(model, feeds)["map"]
    np.testing.assert_allclose(given, wanted, atol=4e-3 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ((2, DEEP, 7, 5), SAME),
        (("N", DEEP, 7, 5), SAME),
        ((1, DEEP, "height", 5), SAME),
        ((1, DEEP // 2, 7, 5), SAME),
        ((1, DEEP, 21, 20), SAME),
        ((1, DEEP, 7, 5), SAME | {"strides": [2, 2]}),
        ((1, DEEP, 7, 5), SAME | {"dilations": [2, 2]}),
        ((1, DEEP, 7, 5), SAME | {"pads": [0, 0, 0, 0]}),
        ((1, DEEP, 7, 5), {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER"}),
        ((1, DEEP, 7, 5), SAME | {"group": 2}),
    ],
)
def test_others_are_left_alone(shape: Shape, attributes: dict[str, Any]) -> None:
    require_untouched(convolution(shape, **attributes), tap_convolutions)


def test_quantised_convolution_is_left_alone() -> None:
    model = convolution((1, DEEP, 7, 5), **SAME)
    conv = model.graph.node[0]
    quantised = [
        helper.make_node("QuantizeLinear", ["images", "scale", "zero"], ["codes"], name="q"),
        helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["rounded"], name="dq"),
    ]
    conv.input[0] = "rounded"
    nodes = [*quantised, conv]
    constants: dict[str, Array] = {"scale": np.array(0.05, np.float32), "zero": np.array(0, np.int8)}
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    shapes: dict[str, Shape] = {"images": (1, DEEP, 7, 5)}
    require_untouched(
        model_of(nodes, inputs=shapes, outputs={"map": (1, 4, 7, 5)}, constants=constants | weights), tap_convolutions
    )


def convolution(shape: Shape, *, bias: bool = True, **attributes: Any) -> onnx.ModelProto:
    """images -> map, of four channels."""
    depth = int(shape[1]) // attributes.get("group", 1)
    constants = {"w": noise(4, depth, 3, 3)} | ({"b": noise(4)} if bias else {})
    node = helper.make_node("Conv", ["images", *constants], ["map"], name="/stage/Conv", **attributes)
    return model_of([node], inputs={"images": shape}, outputs={"map": ("a", 4, "c", "d")}, constants=constants)


def noise(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)
