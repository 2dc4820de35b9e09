"""The fast scorer gives pycocotools' own figures."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detrt import Detections, Detector
from detrt.errors import NonFiniteError
from detrt.evaluate import CocoDataset, coco_dataset, error_of_difference, evaluate, score
from detrt.evaluate.scorer import FIGURES
from tests.evaluate.conftest import CocoFolder


def reference(dataset: CocoDataset, found: Mapping[int, Detections], ids: tuple[int, ...]) -> COCOeval:
    """The same results through pycocotools."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset.annotations
        truth.createIndex()
        rows = [row for image_id, detections in found.items() for row in detections.to_coco(image_id, ids)]
        run = COCOeval(truth, truth.loadRes(rows), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run


def assert_same(dataset: CocoDataset, found: Mapping[int, Detections], ids: tuple[int, ...]) -> None:
    expected = reference(dataset, found, ids)
    scores = score(dataset, found, ids)
    expected_figures = [100 * x if x > -1 else np.nan for x in expected.stats]
    assert [scores.figures[name] for name in FIGURES] == pytest.approx(expected_figures, abs=1e-6, nan_ok=True)
    precision = expected.eval["precision"][:, :, :, 0, -1]
    by_class = {
        name: 100 * column[column > -1].mean()
        for name, column in zip(dataset.category_names, np.moveaxis(precision, 2, 0), strict=True)
        if (column > -1).any()
    }
    assert scores.by_class == pytest.approx(by_class, abs=1e-6)


def test_equals_pycocotools(coco: CocoFolder, found: dict[int, Detections]) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    assert_same(dataset, found, dataset.category_ids)
    assert "mug" not in score(dataset, found, dataset.category_ids).by_class


def test_equals_pycocotools_on_real_results(shared: Path, femto: Path, tmp_path: Path) -> None:
    dataset = coco_dataset(shared / "coco/instances_val.json", shared / "coco/val", limit=80)
    with Detector.open(femto) as detector:
        done = evaluate(detector, dataset, batch=8, journal=tmp_path / "journal")
    assert_same(dataset, done.found, dataset.category_ids)


def test_perfect_boxes_score_100_and_none_score_0(coco: CocoFolder) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    labels = {category: label for label, category in enumerate(dataset.category_ids)}
    perfect: dict[int, Detections] = {}
    for photo in dataset.photos:
        rows = [r for r in dataset.annotations["annotations"] if r["image_id"] == photo.id and not r["iscrowd"]]
        boxes = [[x, y, x + w, y + h] for x, y, w, h in (row["bbox"] for row in rows)]
        perfect[photo.id] = Detections.of(boxes, [0.9] * len(rows), [labels[row["category_id"]] for row in rows])
    assert score(dataset, perfect, dataset.category_ids).ap == pytest.approx(100)
    assert score(dataset, {}, dataset.category_ids).ap == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["boxes", "scores"])
def test_what_is_no_number_is_refused_with_its_image(
    coco: CocoFolder, found: dict[int, Detections], bad: float, where: str
) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    getattr(found[5], where)[0] = bad
    with pytest.raises(NonFiniteError, match="image 5"):
        score(dataset, found, dataset.category_ids)


def test_the_error_of_a_difference_is_that_of_the_mean_over_classes() -> None:
    draw = np.random.default_rng(0).normal(-0.5, 4.0, (2000, 80))
    means = draw.mean(1)
    told = [error_of_difference(dict.fromkeys(range(80), 30.0), dict(enumerate(30 + row))) for row in draw]  # type: ignore[arg-type]
    assert np.mean(told) == pytest.approx(means.std(), rel=0.05)  # type: ignore[arg-type]
    few = {"cat": 30.0, "dog": 40.0}
    assert error_of_difference(few, few) is None
