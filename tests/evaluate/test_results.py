"""COCO result files score as the detections that they were written from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from detrt import Detections
from detrt.errors import DatasetError
from detrt.evaluate import coco_dataset, found_in_results, score
from tests.evaluate.conftest import CocoFolder


def test_results_score_as_the_detections_that_they_were_written_from(coco: CocoFolder, tmp_path: Path) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    rng = np.random.default_rng(1)
    found = {
        photo.id: Detections.of(
            rng.uniform(0, 40, (9, 4)) + np.array([0, 0, 30, 30]), rng.random(9), rng.integers(0, 3, 9)
        )
        for photo in dataset.photos[:-1]
    }
    rows = [row for image_id, one in found.items() for row in one.to_coco(image_id, dataset.category_ids)]
    rng.shuffle(rows)
    other = {"image_id": 10**6, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 1}
    (tmp_path / "r.json").write_text(json.dumps([other, *rows]))

    read = found_in_results(tmp_path / "r.json", dataset)

    assert len(read[dataset.photos[-1].id]) == 0
    for image_id, one in found.items():
        np.testing.assert_array_equal(read[image_id].labels, one.labels)
        np.testing.assert_allclose(read[image_id].boxes, one.boxes, rtol=1e-6)
    assert score(dataset, read, dataset.category_ids).figures == pytest.approx(
        score(dataset, found, dataset.category_ids).figures, nan_ok=True
    )


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '[{"image_id": 1}]', '[{"image_id": 1, "category_id": 4, "bbox": [0, 0, 1, 1], "score": 1}]'],
)
def test_what_is_no_result_file_is_refused(coco: CocoFolder, tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(DatasetError):
        found_in_results(tmp_path / "r.json", coco_dataset(coco.annotations, coco.images))
