"""Drawn pictures: the same for a seed, with boxes that are where the shapes are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tools.train_shapes import scenes
from tools.train_shapes.judge import Judge, coco_annotations, validation_scene
from tools.train_shapes.outlines import CLASSES, outline
from tools.train_shapes.pool import Pool
from tools.train_shapes.scenes import MOST, SIDE, scene

from detrt.detections import Detections
from detrt.evaluate.scorer import score


def test_a_seed_gives_one_picture() -> None:
    one, again, other = (validation_scene(index) for index in (3, 3, 4))
    assert (one.pixels == again.pixels).all()
    assert (one.boxes == again.boxes).all()
    assert (one.pixels != other.pixels).any()


def test_boxes_lie_within_and_hold_what_was_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Black shapes on white, nothing else: the box of all black is the box of all boxes."""
    monkeypatch.setattr(scenes, "_background", lambda _, side, __: np.full((side, side, 3), 255, np.float32))
    monkeypatch.setattr(scenes, "_clutter", lambda *_: None)
    monkeypatch.setattr(scenes, "_photographed", lambda _, canvas, __: canvas.round().astype(np.uint8))

    def black(_: object, canvas: scenes.Floats, mask: scenes._Mask, __: float) -> None:
        canvas[mask.rows, mask.columns] *= 1 - mask.alpha[..., None]

    monkeypatch.setattr(scenes, "_paint", black)
    for seed in range(30):
        drawn = scene(np.random.default_rng(seed))
        rows, columns = np.nonzero(drawn.pixels[..., 0] < 255)
        seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        hull = np.concatenate([drawn.boxes[:, :2].min(0), drawn.boxes[:, 2:].max(0)])
        assert np.abs(seen - hull).max() <= 1
        assert (drawn.boxes >= 0).all()
        assert (drawn.boxes <= SIDE).all()


def test_harder_pictures_hold_more_and_smaller_objects() -> None:
    easy, hard = ([scene(np.random.default_rng(seed), difficulty=d, side=96) for seed in range(40)] for d in (0.0, 1.0))
    assert max(len(drawn.labels) for drawn in easy) <= 3
    assert 3 < max(len(drawn.labels) for drawn in hard) <= MOST
    smallest = [min((drawn.boxes[:, 2:] - drawn.boxes[:, :2]).max(1).min() for drawn in kind) for kind in (easy, hard)]
    assert smallest[0] > smallest[1]


@pytest.mark.parametrize("label", range(len(CLASSES)))
def test_every_outline_is_of_one_size(label: int) -> None:
    for seed in range(20):
        points = outline(label, np.random.default_rng(seed))[0]
        assert 0.5 < np.abs(points).max() < 1.5


def test_the_judge_gives_its_own_boxes_full_marks() -> None:
    drawn = [validation_scene(index, side=96) for index in range(6)]
    content = coco_annotations(drawn)
    assert [row["name"] for row in content["categories"]] == list(CLASSES)
    judge = Judge(6, torch.device("cpu"), side=96)
    found = {
        image: Detections.of(one.boxes, np.ones(len(one.labels)), one.labels) for image, one in enumerate(drawn, 1)
    }
    assert score(judge.truth, found, judge.truth.category_ids).ap == pytest.approx(100)


def test_the_pool_is_filled_and_drawn_anew() -> None:
    pool = Pool(6, 64, workers=2, seed=[1])
    try:
        pool.start(0.0)
        first = pool.drawn
        assert first >= 6
        assert (pool.labels >= 0).any(1).any()
        assert ((pool.boxes >= 0) & (pool.boxes <= 1)).all()
        assert pool.pictures.any((1, 2, 3)).all()
    finally:
        pool.close()
