"""Q/DQ pairs taken away again."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from detrt.errors import GraphError
from detrt.graph.unquantize import Unquantize, quantized_products
from detrt.runtime.onnxruntime import OnnxRuntime
from tests.graph.test_fuse_offsets import QUERIES, WIDTH, decoder_layer

FEEDS = np.random.default_rng(0).normal(size=(1, QUERIES, WIDTH)).astype(np.float32)


def run(model: onnx.ModelProto, style: str) -> dict[str, np.ndarray]:
    x = FEEDS.reshape(-1, WIDTH) if style == "gemm" else FEEDS
    return OnnxRuntime(model.SerializeToString(), device="cpu").run({"x": x})


@pytest.mark.parametrize("style", ["transpose", "folded", "gemm"])
def test_one_product_computes_in_float_and_the_other_does_not(style: str) -> None:
    model = decoder_layer(style)
    names = quantized_products(model)
    assert len(names) == 2
    free, changed = Unquantize(names[:1])(model)
    assert changed
    onnx.checker.check_model(free)
    assert quantized_products(free) == names[1:]
    before, after = run(model, style), run(free, style)
    assert 1e-4 < np.abs(before["offsets"] - after["offsets"]).max() < 0.2  # rounding, and no more than that
    np.testing.assert_allclose(before["weights"], after["weights"], atol=1e-6)


def test_all_of_them_leave_a_float_model() -> None:
    free = Unquantize(quantized_products(decoder_layer("transpose")))(decoder_layer("transpose")).model
    assert not any("Quantize" in node.op_type for node in free.graph.node)
    same, changed = Unquantize(["sampling"])(free)
    assert not changed
    assert same is free


def test_an_add_stands_for_its_product_and_other_names_are_refused() -> None:
    assert Unquantize(["sampling"])(decoder_layer("folded")).changed
    with pytest.raises(GraphError, match="weights is no product"):
        Unquantize(["weights"])(decoder_layer("folded"))
