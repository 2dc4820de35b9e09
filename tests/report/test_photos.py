"""Photos side by side: which, and with which boxes."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detrt.detections import Detections
from detrt.report.photos import SIDE, samples_of

BOXES = [[100, 100, 500, 500], [600, 100, 900, 300], [600, 400, 1000, 700]]


def found(*scores: float) -> Detections:
    return Detections.of(BOXES[: len(scores)], scores, range(len(scores)))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in "abcdef":
        Image.fromarray(np.full((800, 1280, 3), 90, np.uint8)).save(tmp_path / f"{name}.jpg")
    return tmp_path


def test_the_photo_that_differs_most_comes_last_and_marks_what_has_no_partner(images: Path) -> None:
    reference = {f"{name}.jpg": found(0.9, 0.8, 0.7) for name in "abcdef"}
    other = reference | {"d.jpg": found(0.9, 0.8), "gone.jpg": found(0.9)}
    samples = samples_of(reference | {"gone.jpg": found(0.9)}, other, images, ("cat", "dog"))
    assert len(samples) == 4
    assert samples[-1].name == "d.jpg"
    assert len({sample.name for sample in samples}) == 4
    left, right = samples[-1].sides
    assert sorted(box.caption for box in left) == ["cat 0.90", "class 2 0.70", "dog 0.80"]
    assert [box.caption for box in left if box.alone] == ["class 2 0.70"]
    assert not any(box.alone for box in right)


def test_boxes_are_in_pixels_of_the_smaller_picture(images: Path) -> None:
    same = {"a.jpg": found(0.9, 0.8, 0.7)}
    (sample,) = samples_of(same, same, images, ())
    picture = Image.open(io.BytesIO(base64.b64decode(sample.jpeg)))
    assert picture.size == (sample.width, sample.height) == (SIDE, SIDE * 800 // 1280)
    best = sample.sides[0][-1]
    assert (best.x, best.y, best.width, best.height) == (50, 50, 200, 200)


def test_captions_of_boxes_with_one_corner_do_not_cover_each_other(images: Path) -> None:
    rows = Detections.of([[10, 10, 400, 400], [10, 10, 300, 300], [12, 12, 500, 500]], [0.9, 0.8, 0.7], [0, 1, 2])
    (sample,) = samples_of({"a.jpg": rows}, {"a.jpg": rows}, images, ())
    heights = sorted(box.caption_y for box in sample.sides[0])
    assert min(np.diff(heights)) >= 20


def test_faint_boxes_and_empty_photos_are_not_shown(images: Path) -> None:
    nothing = {"a.jpg": found(0.2)}
    assert samples_of(nothing, nothing, images, ()) == []
    (sample,) = samples_of({"a.jpg": found(0.9, 0.2)}, {"a.jpg": found(0.9, 0.2)}, images, ())
    assert len(sample.sides[0]) == 1
