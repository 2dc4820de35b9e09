"""Which products gain by reading their input less its mean, and that FP8 then errs less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from detrt.graph.index import GraphIndex
from detrt.graph.products import Product, find_products
from detrt.quantize.centring import Centring, can_be_centred, find_centring, find_moments
from detrt.quantize.observers import observe
from detrt.quantize.quantizer import Calibrated, Quantizer, Settings
from detrt.quantize.workbench import Workbench
from detrt.runtime.onnxruntime import OnnxRuntime

Array = npt.NDArray[Any]
FP8 = Settings("fp8", "max", "max")


def two_products(mean: float, *, group: int = 1, bias: bool = True) -> onnx.ModelProto:
    """A convolution of `x` as it is, and a linear layer on what comes out; `x` is shifted by `mean` first."""
    rng = np.random.default_rng(3)
    constants = {
        "shift": np.full((1,), mean),
        "w": rng.standard_normal((4, 4 // group, 3, 3)) / 6,
        "v": rng.standard_normal((4, 6)) / 2,
        "b": np.zeros(6),
    }
    nodes = [
        helper.make_node("Add", ["x", "shift"], ["shifted"]),
        helper.make_node("Conv", ["shifted", "w"], ["maps"], pads=[1] * 4, group=group),
        helper.make_node("Transpose", ["maps"], ["tokens"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["tokens", "v"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["y"]) if bias else helper.make_node("Relu", ["product"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 8, 6])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


FEEDS = [{"x": value} for value in np.random.default_rng(4).standard_normal((40, 1, 4, 8, 8)).astype(np.float32)]


def centring_of(model: onnx.ModelProto) -> tuple[GraphIndex, Sequence[Product], Centring]:
    graph = GraphIndex(model)
    products = find_products(graph)
    return graph, products, find_centring(graph, products, find_moments(graph, products, FEEDS))


def test_a_channel_that_varies_little_around_a_large_mean_is_centred_and_no_other() -> None:
    assert "maps" in centring_of(two_products(3.0))[2].biases
    assert not centring_of(two_products(0.0))[2].biases


def test_moments_are_those_of_all_positions() -> None:
    graph = GraphIndex(two_products(3.0))
    seen = find_moments(graph, find_products(graph), FEEDS)["shifted"]
    values = np.concatenate([feed["x"] for feed in FEEDS]).astype(np.float64) + 3
    np.testing.assert_allclose(seen.mean, values.mean((0, 2, 3)), atol=1e-5)
    np.testing.assert_allclose(seen.mean_square, np.square(values).mean((0, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize(("group", "bias", "wanted"), [(1, True, [True, True]), (2, False, [False, False])])
def test_groups_and_sums_without_a_bias_cannot_be_centred(group: int, bias: bool, wanted: list[bool]) -> None:
    graph = GraphIndex(two_products(1.0, group=group, bias=bias))
    assert [can_be_centred(graph, product) for product in find_products(graph)] == wanted


def test_fp8_errs_less() -> None:
    graph, products, found = centring_of(two_products(3.0))
    assert set(found.biases) == {"maps", "product"}
    everything = {product.key for product in products}
    with OnnxRuntime(graph.model.SerializeToString()) as runtime:
        exact = np.concatenate([runtime.run(feed)["y"] for feed in FEEDS])
    errors = []
    for centring in (Centring(), found):
        whole = GraphIndex(centring.of(everything)(graph.model).model)
        inside = find_products(whole)
        seen = observe(whole, inside, FEEDS, total=len(FEEDS))
        model = Quantizer(Calibrated(graph.model, centring, whole, inside, seen), FP8).model(everything)
        with OnnxRuntime(model.SerializeToString()) as runtime:
            errors.append(float(np.square(np.concatenate([runtime.run(feed)["y"] for feed in FEEDS]) - exact).mean()))
    assert errors[1] < 0.6 * errors[0]


def test_what_a_product_makes_before_its_bias_is_another_tensor_then(bench: Workbench) -> None:
    centring = bench.calibrated(centred=True).centring
    apart = {key for key, (place, _) in centring.biases.items() if place[0] != key}
    assert apart
    makes = {name for node in bench.quantizer(FP8).model(centring.biases).graph.node for name in node.output}
    assert makes.isdisjoint(apart)
    assert makes.issuperset(centring.biases.keys() - apart)


def test_only_what_is_quantised_is_centred(bench: Workbench) -> None:
    quantizer = bench.quantizer(FP8)
    gaining = sorted(bench.calibrated(centred=True).centring.biases)
    assert gaining  # what follows a ReLU has a mean
    model = quantizer.model({gaining[0]})
    sums = [node for node in model.graph.node if node.output[0].endswith("/centred")]
    assert len(sums) == 1
    assert {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"} == {sums[0].output[0]}
    assert not bench.calibrated(centred=False).centring.biases
    assert "centred" not in str(bench.quantizer(Settings("int8")).model({gaining[0]}).graph.node)
