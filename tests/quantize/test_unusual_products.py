"""Products that the family's own exports rarely hold, and others' do: each quantised right, or left alone."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from detrt.quantize.formats import Precision
from detrt.quantize.quantizer import Settings
from tests.quantize.few_nodes import Feeds, errors, graph_of, quantised

make = helper.make_node
BOTH = pytest.mark.parametrize("precision", ["int8", "fp8"])


def settings(precision: Precision, *, compensate: bool = True) -> Settings:
    return Settings(precision, "max", "max", compensate=compensate)


def tokens(*shape: int, photos: int = 20, **means: float) -> Feeds:
    """Inputs of that shape, whose channels are correlated and have the means given by name."""
    rng = np.random.default_rng(5)
    mixed = {name: rng.standard_normal((4, shape[-1])) for name in means}
    return [
        {
            name: (rng.standard_normal((*shape[:-1], 4)) @ mixed[name] + mean).astype(np.float32)
            for name, mean in means.items()
        }
        for _ in range(photos)
    ]


def drawn(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.random.default_rng(6).standard_normal(shape)


@BOTH
def test_a_weight_that_two_products_read_is_rounded_for_each(precision: Precision) -> None:
    feeds, constants = tokens(1, 50, 16, x=2.0, u=-3.0), {"w": drawn(16, 16), "b": np.zeros(16)}
    nodes = {
        "y": [make("MatMul", ["x", "w"], ["p"]), make("Add", ["p", "b"], ["y"])],
        "z": [make("MatMul", ["u", "w"], ["q"]), make("Add", ["q", "b"], ["z"])],
    }
    together = graph_of([*nodes["y"], *nodes["z"]], constants, feeds, ["y", "z"])
    found = errors(together, quantised(together, feeds, settings(precision)), feeds)
    for name, alone in nodes.items():
        model = graph_of(alone, constants, feeds, [name])
        own = errors(model, quantised(model, feeds, settings(precision)), feeds)[name]
        assert found[name] == pytest.approx(own, rel=0.02, abs=1e-5)


@BOTH
def test_a_weight_may_be_read_by_rows_and_by_columns(precision: Precision) -> None:
    feeds = tokens(50, 16, x=0.5, u=-0.5)
    nodes = [make("MatMul", ["x", "w"], ["y"]), make("Gemm", ["u", "w"], ["z"], transB=1)]
    model = graph_of(nodes, {"w": drawn(16, 16)}, feeds, ["y", "z"])
    found = errors(model, quantised(model, feeds, settings(precision)), feeds)
    assert max(error for error, _ in found.values()) < 0.05


@BOTH
def test_the_bias_of_a_scaled_gemm_is_not_corrected_by_what_is_not_scaled(precision: Precision) -> None:
    feeds = tokens(40, 16, x=3.0)
    model = graph_of([make("Gemm", ["x", "w", "b"], ["y"], alpha=0.05)], {"w": drawn(16, 6), "b": np.zeros(6)}, feeds)
    plain, found = (
        errors(model, quantised(model, feeds, settings(precision, compensate=way)), feeds)["y"] for way in (False, True)
    )
    assert found == pytest.approx(plain)


@BOTH
def test_one_photo_with_one_patch_is_little_to_go_by_but_no_nan(precision: Precision) -> None:
    rng = np.random.default_rng(7)
    feeds = [{"x": rng.uniform(0, 1, (1, 8, 2, 2)).astype(np.float32)} for _ in range(20)]
    nodes = [make("GlobalAveragePool", ["x"], ["pooled"]), make("Conv", ["pooled", "w", "b"], ["y"])]
    model = graph_of(nodes, {"w": drawn(6, 8, 1, 1), "b": np.zeros(6)}, feeds)
    error, _ = errors(model, quantised(model, feeds[:1], settings(precision)), feeds)["y"]
    assert error < 0.2


@BOTH
def test_a_convolution_of_rows_is_rounded_as_it_comes(precision: Precision) -> None:
    feeds = tokens(1, 8, 40, x=1.0)
    model = graph_of(
        [make("Conv", ["x", "w", "b"], ["y"], pads=[1, 1])], {"w": drawn(6, 8, 3), "b": np.zeros(6)}, feeds
    )
    error, _ = errors(model, quantised(model, feeds, settings(precision)), feeds)["y"]
    assert 0 < error < 0.05


@BOTH
def test_the_kernels_of_a_grouped_convolution_may_be_computed(precision: Precision) -> None:
    feeds = [{"x": one["x"], "k": drawn(8, 1, 3, 3).astype(np.float32)} for one in tokens(1, 8, 6, 6, x=1.0)]
    model = graph_of([make("Conv", ["x", "k"], ["y"], group=8)], {}, feeds)
    error, _ = errors(model, quantised(model, feeds, settings(precision)), feeds)["y"]
    assert 0 < error < 0.1


@BOTH
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_the_bias_of_a_single_output_may_be_a_scalar(precision: Precision, shape: tuple[int, ...]) -> None:
    feeds, nodes = tokens(1, 50, 16, x=2.0), [make("MatMul", ["x", "w"], ["p"]), make("Add", ["b", "p"], ["y"])]
    model = graph_of(nodes, {"w": drawn(16, 1), "b": np.zeros(shape)}, feeds)
    error, mean = errors(model, quantised(model, feeds, settings(precision)), feeds)["y"]
    assert 0 < error < 0.05
    assert mean < 1e-5  # corrected


@BOTH
def test_a_batch_of_matrices_stays_as_it_is(precision: Precision) -> None:
    feeds, nodes = tokens(1, 50, 16, x=2.0), [make("MatMul", ["x", "w"], ["p"]), make("Add", ["p", "b"], ["y"])]
    model = graph_of(nodes, {"w": drawn(4, 16, 6), "b": np.zeros(6)}, feeds)
    assert errors(model, quantised(model, feeds, settings(precision)), feeds) == {"y": (0, 0)}


@BOTH
@pytest.mark.parametrize(("axes", "narrow"), [(3, True), (2, False)])
def test_a_matrix_with_an_axis_more_is_a_matrix_where_its_input_has_as_many(
    precision: Precision, axes: int, narrow: bool
) -> None:
    feeds = tokens(1, 50, 16, x=2.0) if axes == 3 else tokens(50, 16, x=2.0)
    nodes = [make("MatMul", ["x", "w"], ["p"]), make("Add", ["p", "b"], ["y"])]
    model = graph_of(nodes, {"w": drawn(1, 16, 6), "b": np.zeros(6)}, feeds)
    error, mean = errors(model, quantised(model, feeds, settings(precision)), feeds)["y"]
    assert (0 < error < 0.05) == narrow
    assert mean < 1e-5  # corrected
