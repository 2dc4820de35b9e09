"""One image's boxes in every form that people want them in."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from detrt import Detections, detections
from detrt.errors import ModelError

FOUND = Detections.of(boxes=[[0, 0, 10, 20], [5, 5, 6, 6], [1, 2, 3, 4]], scores=[0.2, 0.9, 0.5], labels=[1, 0, 2])


def test_the_docstring_examples_run() -> None:
    assert doctest.testmod(detections).failed == 0


def test_the_best_comes_first() -> None:
    assert FOUND.scores.tolist() == pytest.approx([0.9, 0.5, 0.2])
    assert FOUND.labels.tolist() == [0, 2, 1]
    assert FOUND.boxes[0].tolist() == [5, 5, 6, 6]
    dtypes = [str(column.dtype) for column in (FOUND.boxes, FOUND.scores, FOUND.labels)]
    assert dtypes == ["float32", "float32", "int64"]


def test_thresholds_and_classes_choose() -> None:
    assert FOUND.above(0.5).labels.tolist() == [0, 2]
    assert FOUND.of_classes([1, 2]).labels.tolist() == [2, 1]
    assert len(Detections.empty().above(0.5)) == 0


def test_supervision_gets_the_same_boxes_and_the_names() -> None:
    converted = FOUND.to_supervision(["cat", "dog"])
    assert np.array_equal(converted.xyxy, FOUND.boxes)
    assert list(converted.data["class_name"]) == ["cat", "class 2", "dog"]
    assert len(Detections.empty().to_supervision(["cat"])) == 0


def test_coco_rows_have_corner_and_extent_and_the_category() -> None:
    rows = FOUND.to_coco(7, [10, 20, 30])
    assert rows[2] == {"image_id": 7, "category_id": 20, "bbox": [0, 0, 10, 20], "score": pytest.approx(0.2)}


def test_json_rows_name_what_is_known() -> None:
    assert FOUND.to_json(["cat"])[0] == {"label": 0, "name": "cat", "score": 0.9, "box": [5, 5, 6, 6]}
    assert "name" not in FOUND.to_json(["cat"])[1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_seen(bad: float) -> None:
    assert FOUND.is_finite()
    assert not Detections.of([[0, 0, bad, 1]], [0.5], [0]).is_finite()
    assert not Detections.of([[0, 0, 1, 1]], [bad], [0]).is_finite()


def test_rows_that_do_not_match_are_refused() -> None:
    with pytest.raises(ModelError, match="1 boxes, 2 scores and 1 labels"):
        Detections.of([[0, 0, 1, 1]], [0.5, 0.6], [0])
