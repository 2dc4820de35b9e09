"""Each kind of difference is recognised for what it is."""

from __future__ import annotations

import numpy as np
import pytest

from detrt.compare.drift import Drift, DriftSums, matched_rows
from detrt.runtime.base import Array

RNG = np.random.default_rng(5)
CHANNELS = RNG.normal(size=64)
TENSOR = RNG.normal(size=(1, 150, 64)) * 2 + CHANNELS


def drift(first: Array, second: Array, axis: int = -1) -> Drift:
    sums = DriftSums(axis)
    sums.add(first.astype(np.float32), second.astype(np.float32))
    return sums.result()


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (TENSOR, "no difference"),
        (TENSOR - 2 * CHANNELS, "a constant in each channel"),
        (TENSOR - 0.3, "a constant in each channel"),
        (TENSOR * 0.5, "scaled by 0.5: a wrong scale"),
        ((TENSOR - CHANNELS) * 0.5 + CHANNELS, "scaled by 0.5 within each channel"),
        (TENSOR + 0.1 * RNG.normal(size=TENSOR.shape), "noise"),
        (np.round(TENSOR * 4) / 4, "noise"),
        (np.where(TENSOR > 5, np.nan, TENSOR), "NaN"),
    ],
)
def test_looks_like(second: Array, said: str) -> None:
    assert drift(TENSOR, second).looks_like.startswith(said)


def test_figures() -> None:
    found = drift(TENSOR, TENSOR + 1)
    assert found.shift == pytest.approx(1, abs=1e-4)
    assert found.size == pytest.approx(1 / TENSOR.std(), rel=1e-3)
    assert found.mean_second - found.mean_first == pytest.approx(1, abs=1e-4)
    assert found.p90 == pytest.approx(1, abs=1e-4)
    assert drift(TENSOR, -TENSOR).cosine == pytest.approx(-1)
    assert not drift(TENSOR, np.full_like(TENSOR, np.inf)).finite
    assert drift(TENSOR, np.full_like(TENSOR, np.inf)).size == np.inf


def test_infinite_anchors_are_left_out() -> None:
    first, second = TENSOR.copy(), TENSOR.copy()
    first[0, :3], second[0, :3] = np.inf, 1e4
    assert drift(first, second).looks_like == "no difference"


def test_channels_of_a_feature_map() -> None:
    feature = RNG.normal(size=(1, 8, 60, 80))
    bias = RNG.normal(size=(8, 1, 1))
    assert drift(feature, feature + bias, 1).looks_like.startswith("a constant in each channel")


@pytest.mark.parametrize(
    "shape", [(1, 150, 64), (150, 64), (1, 64, 150), (600, 16), (8, 150, 32), (1200, 32), (1, 150)]
)
def test_rows_in_another_order_are_no_drift(shape: tuple[int, ...]) -> None:
    """Queries alone, (query, side) and (head, query) merged into one axis."""
    first = RNG.normal(size=shape)
    order = RNG.permutation(150)
    axis = next(axis for axis, extent in enumerate(shape) if extent % 150 == 0)
    if shape == (1200, 32):
        second = first.reshape(8, 150, 32)[:, order].reshape(shape)
    elif shape == (600, 16):
        second = first.reshape(150, 4, 16)[order].reshape(shape)
    else:
        second = np.take(first, order, axis=axis)
    one, other = matched_rows(first, second, 150)
    np.testing.assert_allclose(one, other)


def test_attention_between_queries() -> None:
    first = RNG.normal(size=(8, 150, 150))
    order = RNG.permutation(150)
    one, other = matched_rows(first, first[:, order][:, :, order], 150)
    np.testing.assert_allclose(one, other)


def test_matching_hides_neither_a_shift_nor_a_scale() -> None:
    order = RNG.permutation(150)
    for second in (TENSOR[:, order] + CHANNELS, TENSOR[:, order] * 0.5):
        one, other = matched_rows(TENSOR, second, 150)
        assert drift(one, other).looks_like.startswith(("a constant in each channel", "scaled by 0.5: a wrong scale"))


def test_a_few_queries_that_only_one_selected_do_not_count() -> None:
    second = TENSOR.copy()
    second[0, :5] = 30 * RNG.normal(size=(5, 64))
    assert drift(*matched_rows(TENSOR, second, 150)).size < 1e-6
