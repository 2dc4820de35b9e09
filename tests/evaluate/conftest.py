"""A small COCO set whose photos are grey squares, and what a detector may have found in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from detrt import Detections

PHOTOS, SIDE = 12, 100
CATEGORIES = ((3, "cat"), (7, "dog"), (9, "mug"))


class CocoFolder(NamedTuple):
    """Where a COCO set lies."""

    annotations: Path
    images: Path


@pytest.fixture
def coco(tmp_path: Path) -> CocoFolder:
    """Twelve photos with one to five boxes each, one of them a crowd; category 9 has none."""
    rng = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    folder = tmp_path / "photos"
    folder.mkdir()
    for image_id in range(1, PHOTOS + 1):
        name = f"{image_id:03d}.png"
        Image.new("RGB", (SIDE, SIDE), (image_id, image_id, image_id)).save(folder / name)
        images.append({"id": image_id, "file_name": name, "width": SIDE, "height": SIDE})
        for _ in range(int(rng.integers(1, 6))):
            x, y = rng.uniform(0, 60, 2)
            w, h = rng.uniform(5, 40, 2)
            category = int(rng.choice([3, 7]))
            rows.append(_row(len(rows) + 1, image_id, category, [x, y, w, h], crowd=len(rows) == 4))
    content = {"images": images, "annotations": rows, "categories": [{"id": i, "name": n} for i, n in CATEGORIES]}
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    return CocoFolder(path, folder)


def rewrite(coco: CocoFolder, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the JSON of the set says."""
    content = json.loads(coco.annotations.read_text())
    change(content)
    coco.annotations.write_text(json.dumps(content))


def _row(number: int, image_id: int, category: int, box: list[float], *, crowd: bool) -> dict[str, Any]:
    area = 0.7 * box[2] * box[3]
    return {
        "id": number,
        "image_id": image_id,
        "category_id": category,
        "bbox": box,
        "area": area,
        "iscrowd": int(crowd),
    }


@pytest.fixture
def found(coco: CocoFolder) -> dict[int, Detections]:
    """Shaken copies of the true boxes, false alarms, and a photo with more rows than COCO counts."""
    rng = np.random.default_rng(1)
    labels = {category: label for label, (category, _) in enumerate(CATEGORIES)}
    results: dict[int, Detections] = {}
    content = json.loads(coco.annotations.read_text())
    for image in content["images"]:
        own = [row for row in content["annotations"] if row["image_id"] == image["id"]]
        boxes = [np.array(row["bbox"]) + rng.normal(0, 3, 4) for row in own]
        classes = [labels[row["category_id"]] for row in own]
        extra = 150 if image["id"] == 1 else 4
        boxes += list(rng.uniform(5, 50, (extra, 4)))
        classes += rng.integers(0, 3, extra).tolist()
        corners = [[x, y, x + abs(w), y + abs(h)] for x, y, w, h in boxes]
        results[image["id"]] = Detections.of(corners, rng.uniform(0, 1, len(corners)), classes)
    return results
