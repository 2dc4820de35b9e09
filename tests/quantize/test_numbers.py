"""Formats, histograms, ranges and rounding: the arithmetic of quantisation, against slow and plain versions."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from detrt.quantize.formats import FORMATS, SMALLEST_SCALE, Precision
from detrt.quantize.histogram import Histogram
from detrt.quantize.layer import round_layer
from detrt.quantize.ranges import choose_range
from detrt.quantize.rounding import round_compensated


def test_int8_rounds_half_to_even_and_clips() -> None:
    values = np.array([-300, -2.5, -1.5, 0.5, 1.5, 127.6], np.float32)
    assert FORMATS["int8"].encode(values, np.array(1, np.float32)).tolist() == [-128, -2, -2, 0, 2, 127]


def test_fp8_has_three_bits_behind_the_leading_one_and_saturates() -> None:
    codes = FORMATS["fp8"].round_trip(
        np.array([1.0, 1.06, 1.07, 17.0, 1000.0, -1000.0], np.float32), np.array(1, np.float32)
    )
    assert codes.tolist() == [1.0, 1.0, 1.125, 16.0, 448.0, -448.0]


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_the_largest_value_survives(precision: Precision) -> None:
    target = FORMATS[precision]
    scale = target.scale(3.7)
    assert target.round_trip(np.array([3.7, -3.7], np.float32), scale) == pytest.approx([3.7, -3.7], rel=1e-6)


def test_scales_are_numbers_that_fp16_has() -> None:
    assert FORMATS["int8"].scale(1e-9) == SMALLEST_SCALE
    assert FORMATS["int8"].scale(0.0) == 1.0


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_expected_error_matches_the_real_one(precision: Precision) -> None:
    target = FORMATS[precision]
    values = np.abs(np.random.default_rng(0).standard_normal(200_000)).astype(np.float32)
    for largest in (1.0, 2.0, 4.0):
        real = np.mean((target.round_trip(values, target.scale(largest)) - values) ** 2)
        expected = target.squared_error(values.astype(np.float64), largest).mean()
        assert expected == pytest.approx(real, rel=0.1)


def test_histograms_of_parts_add_up_and_count_what_is_not_finite() -> None:
    values = np.random.default_rng(1).standard_normal(5000).astype(np.float32) * 3
    whole, parts = Histogram(), Histogram()
    whole.add(values)
    parts.add(values[:2000].reshape(2, 1000))
    parts.add(np.append(values[2000:], [np.nan, np.inf, -np.inf]).astype(np.float32))
    assert (whole.counts == parts.counts).all()
    assert whole.largest == parts.largest == np.abs(values).max()
    assert (whole.non_finite, parts.non_finite) == (0, 3)
    assert whole.quantile(0.9) == pytest.approx(np.quantile(np.abs(values), 0.9), rel=0.01)
    assert whole.quantile(1.0) == whole.largest


def test_an_outlier_decides_max_and_no_other_range() -> None:
    values = np.random.default_rng(2).standard_normal(400_000).astype(np.float32)
    values[0] = 60
    histogram = Histogram()
    histogram.add(values)
    methods: tuple[Literal["percentile", "mse", "entropy"], ...] = ("percentile", "mse", "entropy")
    assert choose_range(histogram, "max", FORMATS["int8"]) == 60
    for method in methods:
        assert choose_range(histogram, method, FORMATS["int8"]) < 45


def test_mse_range_is_the_best_there_is() -> None:
    values = np.random.default_rng(3).laplace(size=100_000).astype(np.float32)
    histogram = Histogram()
    histogram.add(values)
    target = FORMATS["int8"]

    def error(largest: float) -> float:
        return float(np.mean((target.round_trip(values, target.scale(largest)) - values) ** 2))

    best = min(error(largest) for largest in np.linspace(1, histogram.largest, 200))
    assert error(choose_range(histogram, "mse", target)) < 1.02 * best


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_compensated_rounding_beats_the_nearest(precision: Precision) -> None:
    rng = np.random.default_rng(4)
    seen = (rng.standard_normal((2000, 6)) @ rng.standard_normal((6, 40))).astype(np.float32)  # highly dependent
    rows = rng.standard_normal((8, 40)).astype(np.float32)
    target = FORMATS[precision]
    scales = target.scale(np.abs(rows).max(1))
    codes = round_compensated(rows, scales, np.cov(seen.T), target)
    rounded = codes.astype(np.float32) * scales[:, None]
    nearest = target.round_trip(rows, scales[:, None])
    assert np.square(seen @ (rounded - rows).T).sum() < 0.3 * np.square(seen @ (nearest - rows).T).sum()


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_the_bias_takes_the_mean_error(precision: Precision) -> None:
    rng = np.random.default_rng(5)
    seen = np.abs(rng.standard_normal((2, 3000, 9))).astype(np.float32) + 1  # as after a ReLU
    matrix = rng.standard_normal((2, 4, 9)).astype(np.float32)
    target = FORMATS[precision]
    scale = target.scale(2.5)  # clips
    layer = round_layer(matrix, seen, scale, target, compensate=True)
    rounded = layer.codes.astype(np.float32) * layer.scales[..., None]
    exact = np.matmul(seen, matrix.transpose(0, 2, 1)).mean(1).reshape(-1)
    coded = np.matmul(target.round_trip(seen, scale), rounded.transpose(0, 2, 1)).mean(1).reshape(-1)
    assert coded + layer.bias_shift == pytest.approx(exact, abs=1e-3)
    assert np.abs(coded - exact).max() > 0.05
