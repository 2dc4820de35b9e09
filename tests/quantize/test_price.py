"""What a point of agreement costs: a law that goes both ways, and a doubt that a mirror shows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from detrt.quantize.agreement import detections_of
from detrt.quantize.price import AP_NOISE, AP_PER_POINT, allowed_points, ap_drop, revised_rate
from detrt.quantize.workbench import Workbench


@pytest.mark.parametrize("rate", [AP_PER_POINT, 0.2])
@pytest.mark.parametrize("doubt", [0.0, 28.0, 60.0])
def test_points_and_ap_are_each_others_inverse(rate: float, doubt: float) -> None:
    for drop in (0.1, 0.5, 3.0):
        points = allowed_points(drop, doubt, rate)
        assert ap_drop(points, doubt, rate) == pytest.approx(drop)
        assert revised_rate(rate, drop, points, doubt) == pytest.approx(rate)


def test_a_small_surprise_is_believed_in_part_and_a_large_one_wholly() -> None:
    points, rate = 8.0, 0.4
    expected = ap_drop(points, 28.0, rate)
    assert 1.1 < revised_rate(rate, expected + AP_NOISE, points, 28.0) / rate < (expected + AP_NOISE) / expected - 0.05
    assert revised_rate(rate, 40.0, points, 28.0) == pytest.approx(rate * 40.0 / expected, rel=0.01)


def test_small_losses_count_less_the_less_sure_the_model_is() -> None:
    drops = [ap_drop(8.0, doubt, 0.3) for doubt in (0.0, 10.0, 30.0, 60.0)]
    assert all(later < earlier for earlier, later in pairwise(drops))
    assert ap_drop(4.0, 30.0, 0.3) < 0.3 * ap_drop(8.0, 30.0, 0.3)  # nearly the square


def test_a_mirrored_photo_is_turned_and_its_boxes_are_turned_back(bench: Workbench) -> None:
    straight = next(iter(bench.photos))
    turned = next(iter(bench.photos.mirror()))
    name = bench.contract.input_name
    np.testing.assert_allclose(turned.feeds[name], straight.feeds[name][..., ::-1], atol=0.02)
    photos = [turned, replace(turned, mirrored=False)]
    back, as_seen = detections_of(bench.float_model, bench.contract, photos)
    width = turned.placement.photo[1]
    np.testing.assert_allclose(back.boxes[:, [0, 2]], width - as_seen.boxes[:, [2, 0]])
    assert 0 < bench.doubt(4) <= 100
