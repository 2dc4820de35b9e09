"""COCO's JSON as labelling tools write it, checked row by row and brought to one form."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from detrt.errors import DatasetError


def read_annotations(path: Path) -> dict[str, Any]:
    """The images, annotations and categories of a detection set.

    Ids are whole numbers, also where the file has them as text. Boxes are numbered anew, from 1: a matched one is told
    from none by its id, so that these may not repeat, nor be 0. `iscrowd` is 0 and `area` the box's where the file
    does not say them; a photo's `height` and `width` are 0 there.

    Raises:
        DatasetError: it cannot be read, or is none, and names the row that it fails at; or all of its boxes are of
            photos or categories that it does not list, so that nothing would be scored; or two photos share an id, as
            in sets that were put together, so that the boxes of both would be those of each.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.", "Check the path of --annotations.") from error
    except (ValueError, RecursionError) as error:
        raise _no_set(path, f"it is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise _no_set(path, "it is no mapping of lists of rows")
    for kind, fields in _FIELDS.items():
        if not isinstance(content.get(kind), list):
            raise _no_set(path, f"it has no list of {kind}")
        for number, row in enumerate(content[kind]):
            _tidy(path, f"{kind}[{number}]", row, fields)
    if not content["categories"]:
        raise _no_set(path, "it has no categories")
    for number, row in enumerate(content["annotations"], start=1):
        row["id"] = number
        if row["area"] is None:
            row["area"] = row["bbox"][2] * row["bbox"][3]
    _refuse_shared_ids(path, content["images"])
    _refuse_unrelated(path, content)
    return content


def _tidy(path: Path, where: str, row: Any, fields: Mapping[str, Callable[[Any], Any]]) -> None:
    """Bring the fields of a row to their types, in place."""
    if not isinstance(row, dict):
        raise _no_set(path, f"{where} is no row")
    name = ""
    try:
        for name, read in fields.items():
            row[name] = read(row.get(name))
    except (TypeError, ValueError, OverflowError) as error:
        says = f"says {row[name]!r} for" if name in row else "lacks"
        raise _no_set(path, f"{where} {says} {name}") from error


def _refuse_shared_ids(path: Path, images: list[dict[str, Any]]) -> None:
    names: dict[int, str] = {}
    for row in images:
        other = names.setdefault(row["id"], row["file_name"])
        if other != row["file_name"]:
            raise DatasetError(
                f"{path} gives the id {row['id']} to {other} and to {row['file_name']}.",
                "Give each photo an id of its own, and its boxes that id as image_id.",
            )


def _refuse_unrelated(path: Path, content: dict[str, Any]) -> None:
    boxes = content["annotations"]
    photos, categories = ({row["id"] for row in content[kind]} for kind in ("images", "categories"))
    if boxes and photos and not any(row["image_id"] in photos and row["category_id"] in categories for row in boxes):
        raise DatasetError(
            f"None of the {len(boxes)} boxes of {path} is of a photo and a category that it lists: the first is of "
            f"image {boxes[0]['image_id']} and category {boxes[0]['category_id']}.",
            "Make image_id and category_id of its annotations ids of its images and categories.",
        )


def _no_set(path: Path, why: str) -> DatasetError:
    return DatasetError(
        f"{path} is not a COCO detection set: {why}.",
        "It needs images, annotations with bbox, and categories, as in instances_val2017.json.",
    )


def _whole(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError
    return int(value)


def _whole_or_0(value: Any) -> int:
    return _whole(value or 0)


def _text(value: Any) -> str:
    if not isinstance(value, str | int):
        raise TypeError
    return str(value)


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _box(value: Any) -> list[float]:
    if not isinstance(value, list) or len(value) != 4:
        raise TypeError
    return [_number(side) for side in value]


_FIELDS: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "images": {"id": _whole, "file_name": _text, "height": _whole_or_0, "width": _whole_or_0},
    "categories": {"id": _whole, "name": _text},
    "annotations": {
        "image_id": _whole,
        "category_id": _whole,
        "bbox": _box,
        "iscrowd": _whole_or_0,
        "area": lambda value: None if value is None else _number(value),
    },
}
