"""Detections compared as sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detrt.compare.detections import Comparing, DetectionComparison
from detrt.compare.matching import match, overlaps
from detrt.detections import Detections


def some(count: int, seed: int = 0) -> Detections:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 300, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(20, 200, (count, 2))], axis=1)
    return Detections.of(boxes, rng.uniform(0.05, 1, count), rng.integers(0, 5, count))


def compared(first: Detections, second: Detections) -> DetectionComparison:
    comparing = Comparing()
    comparing.add("photo", first, second)
    return comparing.result()


@settings(max_examples=40)
@given(st.integers(0, 60), st.randoms(use_true_random=False))
def test_any_order_is_the_same(count: int, random: object) -> None:
    first = some(count)
    order = np.random.default_rng(count).permutation(count)
    second = Detections(first.boxes[order], first.scores[order], first.labels[order])
    found = compared(first, second)
    assert found.verdict == "same"
    assert found.agreement == 1
    assert found.score_drift.most == 0
    assert found.closeness == pytest.approx(1)


def test_every_detection_has_one_partner_at_most() -> None:
    pairs = match(some(80), some(80, seed=1))
    for side, alone in ((pairs.first, pairs.alone_first), (pairs.second, pairs.alone_second)):
        assert sorted([*side, *alone]) == list(range(80))


def test_of_two_rows_of_one_object_the_like_scores_are_partners() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10.2]])
    first = Detections.of(boxes, [0.9, 0.35], [1, 1])
    second = Detections.of(boxes, [0.36, 0.89], [1, 1])
    assert compared(first, second).score_drift.most == pytest.approx(0.01, abs=1e-6)


def test_overlap() -> None:
    found = overlaps(np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 15, 10], [20, 20, 30, 30], [3, 3, 3, 3]]))
    np.testing.assert_allclose(found, [[1 / 3, 0, 0]], atol=1e-6)


def test_faint_detections_do_not_count_but_may_be_partners() -> None:
    first = Detections.of([[0, 0, 10, 10], [50, 50, 60, 60]], [0.31, 0.1], [0, 0])
    second = Detections.of([[0, 0, 10, 10]], [0.29], [0])
    found = compared(first, second)
    assert (found.counted, found.agreed, found.only_first) == (1, 1, 0)


def test_another_label_or_place_is_no_partner() -> None:
    first = Detections.of([[0, 0, 10, 10], [50, 50, 60, 60]], [0.9, 0.8], [0, 0])
    second = Detections.of([[0, 0, 10, 10], [80, 80, 90, 90]], [0.9, 0.8], [1, 0])
    found = compared(first, second)
    assert (found.counted, found.agreed, found.only_first, found.only_second) == (4, 0, 2, 2)
    assert found.verdict == "broken"


def test_scores_that_all_sink_are_broken_although_every_box_is_there() -> None:
    """What a dropped bias did to the origin's engine: every score about 41 % lower."""
    first = some(60)
    found = compared(first, Detections(first.boxes, first.scores * np.float32(0.59), first.labels))
    assert found.agreement == 1
    assert found.score_shift < -0.1
    assert found.verdict == "broken"


def test_nothing_found_by_either_is_the_same_and_nan_is_broken() -> None:
    comparing = Comparing()
    comparing.add("empty", Detections.empty(), Detections.empty())
    assert comparing.result().verdict == "same"
    comparing.add_not_finite("bad.jpg")
    found = comparing.result()
    assert found.verdict == "broken"
    assert "bad.jpg" in found.reason
    assert found.worst(1)[0].name == "bad.jpg"
