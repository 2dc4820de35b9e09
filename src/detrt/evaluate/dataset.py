"""A COCO set: which photos, which boxes, and which category a model's label means."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detrt.contract import ModelContract
from detrt.errors import DatasetError
from detrt.evaluate.annotations import read_annotations
from detrt.files import stamp_of


@dataclass(frozen=True)
class CocoPhoto:
    """A photo of the set; its name is its path.

    Attributes:
        size: height and width of what was annotated; None where the annotations do not say.
    """

    id: int
    path: Path
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class CocoDataset:
    """Annotations as COCO's JSON has them, and where their photos are."""

    annotations: dict[str, Any]
    photos: tuple[CocoPhoto, ...]
    category_ids: tuple[int, ...]
    category_names: tuple[str, ...]

    def fingerprint(self) -> str:
        """Identifies the boxes by content, and the photos by name, size and time of change."""
        digest = hashlib.sha256(json.dumps(self.annotations).encode())
        for photo in self.photos:
            digest.update(f"{photo.id}|{stamp_of(photo.path)}".encode())
        return digest.hexdigest()

    def categories_of(self, contract: ModelContract) -> tuple[int, ...]:
        """The category id of each label of a model.

        By name where the set's names differ from each other and are all among the model's; else by position, where
        there are as many classes as categories and no category's name stands for another.

        Raises:
            DatasetError: neither holds, so that a label could mean anything.
        """
        by_name = dict(zip(self.category_names, self.category_ids, strict=True))
        unique = len(by_name) == len(self.category_names)
        if contract.class_names and unique and by_name.keys() <= set(contract.class_names):
            return tuple(by_name.get(name, -1) for name in contract.class_names)
        pairs = zip(contract.class_names, self.category_names, strict=False)
        moved = any(ours != theirs and ours in by_name for ours, theirs in pairs)
        if len(contract.class_names) in (0, len(self.category_ids)) and not moved:
            return self.category_ids
        raise DatasetError(
            f"The model has {len(contract.class_names)} classes ({_some(contract.class_names)}), the annotations "
            f"{len(self.category_ids)} categories ({_some(self.category_names)}), and the names do not match.",
            "Give the model's class names in its labels' order: --contract names=FILE (one name a line).",
        )


def coco_dataset(annotations: Path, images: Path, *, limit: int | None = None) -> CocoDataset:
    """Read a COCO set; with `limit` only its first photos by id.

    Raises:
        DatasetError: the JSON is none of COCO's detection sets, or photos that it lists are missing.
    """
    content = read_annotations(annotations)
    listed = sorted(content["images"], key=lambda image: image["id"])[:limit]
    photos = tuple(CocoPhoto(image["id"], images / image["file_name"], _size_of(image)) for image in listed)
    missing = [photo.path.name for photo in photos if not photo.path.is_file()]
    if missing or not photos:
        raise DatasetError(
            f"{len(missing)} of the {len(photos)} photos of {annotations} are not in {images} ({_some(missing)})."
            if photos
            else f"{annotations} lists no photos.",
            "Give the folder that holds them: --images DIR",
        )
    kept = {photo.id for photo in photos}
    content["images"] = listed
    content["annotations"] = [row for row in content["annotations"] if row["image_id"] in kept]
    categories = sorted(content["categories"], key=lambda category: category["id"])
    return CocoDataset(
        content,
        photos,
        tuple(category["id"] for category in categories),
        tuple(category["name"] for category in categories),
    )


def _size_of(image: dict[str, Any]) -> tuple[int, int] | None:
    height, width = image["height"], image["width"]
    return (height, width) if height and width else None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
