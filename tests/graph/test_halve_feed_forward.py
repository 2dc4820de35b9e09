from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, helper

from detrt.graph.halve_feed_forward import FEW_ROWS, WIDE, halve_feed_forward
from detrt.runtime.base import Array
from tests.graph.rewritten import require_close, require_untouched, rewritten
from tests.graph.small_models import Shape, model_of

NARROW = 8


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("residual", [True, False])
def test_halves_of_gemms_give_what_the_block_gives(residual: bool, transposed: int) -> None:
    model = gemms(residual=residual, transposed=transposed)
    result = rewritten(model, halve_feed_forward)
    assert "Gemm" not in {node.op_type for node in result.graph.node}
    widened = next(tensor for tensor in result.graph.initializer if tensor.name.endswith("/widened.weight"))
    assert list(widened.dims) == [2, NARROW, WIDE // 2]
    require_close(model, result, {"rows": noise(20, NARROW)})


@pytest.mark.parametrize("bias", [True, False])
def test_halves_of_products_give_what_the_block_gives(bias: bool) -> None:
    model = products((1, 20, NARROW), bias=bias)
    require_close(model, rewritten(model, halve_feed_forward), {"rows": noise(1, 20, NARROW)})


def test_rows_of_two_images_are_left_alone() -> None:
    require_untouched(gemms(rows=FEW_ROWS + 1), halve_feed_forward)
    require_untouched(products((2, 20, NARROW)), halve_feed_forward)


def test_open_rows_are_left_alone() -> None:
    require_untouched(gemms(rows="queries"), halve_feed_forward)
    require_untouched(products(("N", 20, NARROW)), halve_feed_forward)


def test_narrow_and_odd_blocks_are_left_alone() -> None:
    require_untouched(gemms(hidden=WIDE // 2), halve_feed_forward)
    require_untouched(gemms(hidden=WIDE + 1), halve_feed_forward)


def test_scaled_gemm_is_left_alone() -> None:
    require_untouched(gemms(alpha=0.5), halve_feed_forward)


def test_block_whose_hidden_features_are_an_output_is_left_alone() -> None:
    require_untouched(gemms(outputs={"hidden": (20, WIDE)}), halve_feed_forward)


def test_weights_that_are_dequantised_are_left_alone() -> None:
    model = gemms(transposed=0)
    codes, scale = onnx.numpy_helper.from_array(noise(NARROW, WIDE).astype(np.int8), "codes"), np.float32(0.1)
    model.graph.initializer.extend([codes, onnx.numpy_helper.from_array(np.array(scale), "scale")])
    model.graph.node.insert(0, helper.make_node("DequantizeLinear", ["codes", "scale"], ["weight"], name="dq"))
    model.graph.node[1].input[1] = "weight"
    onnx.checker.check_model(model, full_check=True)
    require_untouched(model, halve_feed_forward)


def gemms(
    *,
    rows: int | str = 20,
    hidden: int = WIDE,
    residual: bool = True,
    transposed: int = 1,
    outputs: Mapping[str, Shape] | None = None,
    **attributes: Any,
) -> onnx.ModelProto:
    """rows -> Gemm, ReLU, Gemm with the rows themselves as bias, as our exporter writes it."""
    a, b = noise(NARROW, hidden), noise(hidden, NARROW) / 30
    constants: dict[str, Array] = {"a": a.T if transposed else a}
    constants |= {"a0": noise(hidden), "b": b.T if transposed else b}
    last = ["hidden", "b", *(["rows"] if residual else [])]
    return model_of(
        [
            helper.make_node("Gemm", ["rows", "a", "a0"], ["wide"], name="/linear1/Gemm", transB=transposed),
            helper.make_node("Relu", ["wide"], ["hidden"], name="/Relu"),
            helper.make_node("Gemm", last, ["sum"], name="/linear2/Gemm", transB=transposed, **attributes),
        ],
        inputs={"rows": (rows, NARROW)},
        outputs={"sum": (rows, NARROW)} | dict(outputs or {}),
        constants=constants,
    )


def products(shape: Shape, *, bias: bool = True) -> onnx.ModelProto:
    """rows -> MatMul, Add, ReLU, MatMul, Add: a linear layer as PyTorch's exporter writes it."""
    constants: dict[str, Array] = {"a": noise(NARROW, WIDE), "b": noise(WIDE, NARROW) / 30}
    wide: list[NodeProto] = [helper.make_node("MatMul", ["rows", "a"], ["wide" if bias else "all"], name="/linear1")]
    if bias:
        constants |= {"a0": noise(WIDE), "b0": noise(NARROW)}
        wide.append(helper.make_node("Add", ["a0", "wide"], ["all"], name="/linear1/Add"))
    narrow = [helper.make_node("MatMul", ["hidden", "b"], ["narrow" if bias else "sum"], name="/linear2")]
    if bias:
        narrow.append(helper.make_node("Add", ["narrow", "b0"], ["sum"], name="/linear2/Add"))
    relu = helper.make_node("Relu", ["all"], ["hidden"], name="/Relu")
    return model_of([*wide, relu, *narrow], inputs={"rows": shape}, outputs={"sum": shape}, constants=constants)


def noise(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)
