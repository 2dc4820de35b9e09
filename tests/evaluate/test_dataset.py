"""COCO sets, whole and broken, and the categories that labels mean."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detrt import Detections
from detrt.contract import ModelContract
from detrt.errors import DatasetError
from detrt.evaluate import coco_dataset, score
from tests.evaluate.conftest import CocoFolder, rewrite


def contract(*names: str) -> ModelContract:
    return ModelContract((32, 32), class_names=names)


def test_labels_find_their_category_by_name_in_any_order(coco: CocoFolder) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    assert dataset.categories_of(contract("dog", "car", "mug", "cat")) == (7, -1, 9, 3)


def test_without_names_labels_go_by_position(coco: CocoFolder) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    assert dataset.categories_of(contract()) == (3, 7, 9)
    assert dataset.categories_of(contract("a", "b", "c")) == (3, 7, 9)
    assert dataset.categories_of(contract("cat", "b", "mug")) == (3, 7, 9)


def test_classes_that_mean_something_else_are_an_error(coco: CocoFolder) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    with pytest.raises(DatasetError, match=r"2 classes \(a, b\).*3 categories \(cat, dog, mug\)"):
        dataset.categories_of(contract("a", "b"))
    with pytest.raises(DatasetError, match=r"3 classes \(mug, dog, tabby\)"):
        dataset.categories_of(contract("mug", "dog", "tabby"))


def test_a_limit_takes_the_first_photos_and_their_boxes(coco: CocoFolder) -> None:
    dataset = coco_dataset(coco.annotations, coco.images, limit=3)
    assert [photo.id for photo in dataset.photos] == [1, 2, 3]
    assert {row["image_id"] for row in dataset.annotations["annotations"]} <= {1, 2, 3}


def test_no_photos_are_no_set(coco: CocoFolder) -> None:
    rewrite(coco, lambda content: content.update(images=[]))
    with pytest.raises(DatasetError, match="lists no photos"):
        coco_dataset(coco.annotations, coco.images)


def test_missing_photos_are_counted_and_named(coco: CocoFolder) -> None:
    (coco.images / "002.png").unlink()
    (coco.images / "009.png").unlink()
    with pytest.raises(DatasetError, match=r"2 of the 12 photos .* \(002.png, 009.png\)"):
        coco_dataset(coco.annotations, coco.images)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"images": [], "annotations": [], "categories": []}',
        '{"images": 3, "annotations": 4}',
        "[" * 100_000,
    ],
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


MISSING = object()


@pytest.mark.parametrize(
    ("kind", "field", "value", "told"),
    [
        ("images", "id", MISSING, r"images\[1\] lacks id"),
        ("images", "id", "abc", r"images\[1\] says 'abc' for id"),
        ("images", "id", 1.5, r"images\[1\] says 1.5 for id"),
        ("images", "file_name", MISSING, r"images\[1\] lacks file_name"),
        ("images", "file_name", None, r"images\[1\] says None for file_name"),
        ("categories", "id", MISSING, r"categories\[1\] lacks id"),
        ("categories", "name", MISSING, r"categories\[1\] lacks name"),
        ("annotations", "image_id", MISSING, r"annotations\[1\] lacks image_id"),
        ("annotations", "category_id", MISSING, r"annotations\[1\] lacks category_id"),
        ("annotations", "bbox", "abcd", r"annotations\[1\] says 'abcd' for bbox"),
        ("annotations", "bbox", [1, 2, 3], r"annotations\[1\] says \[1, 2, 3\] for bbox"),
        ("annotations", "bbox", [1, 2, 3, math.nan], r"annotations\[1\] says .* for bbox"),
        ("annotations", "bbox", [1, 2, 3, "wide"], r"annotations\[1\] says .* for bbox"),
        ("annotations", "area", 10**400, r"annotations\[1\] says 10+ for area"),
        ("annotations", "area", "large", r"annotations\[1\] says 'large' for area"),
    ],
)
def test_a_row_that_cannot_be_is_named_before_any_work(
    coco: CocoFolder, kind: str, field: str, value: object, told: str
) -> None:
    def spoil(content: dict[str, Any]) -> None:
        if value is MISSING:
            del content[kind][1][field]
        else:
            content[kind][1][field] = value

    rewrite(coco, spoil)
    with pytest.raises(DatasetError, match=told):
        coco_dataset(coco.annotations, coco.images)


def test_what_other_tools_leave_out_or_write_as_text_counts_as_coco_would(
    coco: CocoFolder, found: dict[int, Detections]
) -> None:
    def by_the_book(content: dict[str, Any]) -> None:
        for row in content["annotations"]:
            row |= {"area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0}

    def in_the_wild(content: dict[str, Any]) -> None:
        for number, row in enumerate(content["annotations"]):
            row |= {"category_id": str(row["category_id"]), "bbox": list(map(str, row["bbox"])), "iscrowd": None}
            row["area"] = None
            if number % 2:
                del row["area"], row["iscrowd"]
            row["image_id"] = str(row["image_id"])
        for row in content["categories"] + content["images"]:
            row["id"] = str(row["id"])

    rewrite(coco, by_the_book)
    dataset = coco_dataset(coco.annotations, coco.images)
    rewrite(coco, in_the_wild)
    other = coco_dataset(coco.annotations, coco.images)
    assert other.category_ids == dataset.category_ids
    assert score(other, found, other.category_ids).by_class == score(dataset, found, dataset.category_ids).by_class


@pytest.mark.parametrize("field", ["image_id", "category_id"])
def test_boxes_of_nothing_that_is_listed_are_refused(coco: CocoFolder, field: str) -> None:
    def spoil(content: dict[str, Any]) -> None:
        for row in content["annotations"]:
            row[field] += 900

    rewrite(coco, spoil)
    with pytest.raises(DatasetError, match=r"None of the \d+ boxes .* the first is of image \d+ and category \d+"):
        coco_dataset(coco.annotations, coco.images)


def test_two_photos_of_one_id_are_refused_and_one_that_is_listed_twice_is_not(coco: CocoFolder) -> None:
    rewrite(coco, lambda content: content["images"].append(content["images"][0]))
    coco_dataset(coco.annotations, coco.images)
    rewrite(coco, lambda content: content["images"][-1].update(file_name="002.png"))
    with pytest.raises(DatasetError, match=r"gives the id 1 to 001\.png and to 002\.png"):
        coco_dataset(coco.annotations, coco.images)


def test_categories_of_one_name_are_not_told_apart_by_it(coco: CocoFolder) -> None:
    rewrite(coco, lambda content: content["categories"][1].update(name="cat"))
    with pytest.raises(DatasetError, match="the names do not match"):
        coco_dataset(coco.annotations, coco.images).categories_of(contract("mug", "cat"))


def test_photos_without_boxes_are_a_set(coco: CocoFolder) -> None:
    rewrite(coco, lambda content: content.update(annotations=[]))
    assert not coco_dataset(coco.annotations, coco.images).annotations["annotations"]


def test_a_number_may_name_a_photo(coco: CocoFolder) -> None:
    (coco.images / "002.png").rename(coco.images / "2")
    rewrite(coco, lambda content: content["images"][1].update(file_name=2))
    assert coco_dataset(coco.annotations, coco.images).photos[1].path.name == "2"


@pytest.mark.parametrize("ids", [lambda n: n, lambda n: 1 + n % 9, str, None], ids=["from 0", "twice", "text", "none"])
def test_what_the_boxes_ids_are_does_not_matter(
    coco: CocoFolder, found: dict[int, Detections], ids: Callable[[int], object] | None
) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)

    def renumber(content: dict[str, Any]) -> None:
        for number, row in enumerate(content["annotations"]):
            del row["id"]
            if ids:
                row["id"] = ids(number)

    rewrite(coco, renumber)
    other = coco_dataset(coco.annotations, coco.images)
    assert score(other, found, other.category_ids).by_class == score(dataset, found, dataset.category_ids).by_class
