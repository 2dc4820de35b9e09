"""COCO sets, whole and broken, and the categories that labels mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from detrt import Detections
from detrt.contract import ModelContract
from detrt.errors import DatasetError
from detrt.evaluate import coco_dataset, score
from tests.evaluate.conftest import CocoFolder


def contract(*names: str) -> ModelContract:
    return ModelContract((32, 32), class_names=names)


def test_labels_find_their_category_by_name_in_any_order(coco: CocoFolder) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    assert dataset.categories_of(contract("dog", "car", "mug", "cat")) == (7, -1, 9, 3)


def test_without_names_labels_go_by_position(coco: CocoFolder) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    assert dataset.categories_of(contract()) == (3, 7, 9)
    assert dataset.categories_of(contract("a", "b", "c")) == (3, 7, 9)


def test_classes_that_mean_something_else_are_an_error(coco: CocoFolder) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    with pytest.raises(DatasetError, match=r"2 classes \(a, b\).*3 categories \(cat, dog, mug\)"):
        dataset.categories_of(contract("a", "b"))


def test_a_limit_takes_the_first_photos_and_their_boxes(coco: CocoFolder) -> None:
    dataset = coco_dataset(coco.annotations, coco.images, limit=3)
    assert [photo.id for photo in dataset.photos] == [1, 2, 3]
    assert {row["image_id"] for row in dataset.annotations["annotations"]} <= {1, 2, 3}


def test_missing_photos_are_counted_and_named(coco: CocoFolder) -> None:
    (coco.images / "002.png").unlink()
    (coco.images / "009.png").unlink()
    with pytest.raises(DatasetError, match=r"2 of the 12 photos .* \(002.png, 009.png\)"):
        coco_dataset(coco.annotations, coco.images)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"images": [], "annotations": [], "categories": []}', '{"images": 3, "annotations": 4}'],
)
def test_what_is_no_coco_set_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(DatasetError):
        coco_dataset(path, tmp_path)


def test_captions_are_not_boxes(coco: CocoFolder) -> None:
    content = json.loads(coco.annotations.read_text())
    content["annotations"] = [{"id": 1, "image_id": 1, "caption": "a cat"}]
    coco.annotations.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="not a COCO detection set"):
        coco_dataset(coco.annotations, coco.images)


@pytest.mark.parametrize("ids", [lambda n: n, lambda n: 1 + n % 9, str, None], ids=["from 0", "twice", "text", "none"])
def test_what_the_boxes_ids_are_does_not_matter(
    coco: CocoFolder, found: dict[int, Detections], ids: Callable[[int], object] | None
) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    content = json.loads(coco.annotations.read_text())
    for number, row in enumerate(content["annotations"]):
        del row["id"]
        if ids:
            row["id"] = ids(number)
    coco.annotations.write_text(json.dumps(content))
    other = coco_dataset(coco.annotations, coco.images)
    assert score(other, found, other.category_ids).by_class == score(dataset, found, dataset.category_ids).by_class
