"""The photos that travel to a GPU machine, with their annotations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path


def pack(shared: Path, out: Path, skip: int, count: int) -> None:
    """Some photos and their annotations in a folder."""
    content = json.loads((shared / "coco" / "instances_val.json").read_bytes())
    content["images"] = sorted(content["images"], key=lambda image: image["id"])[skip : skip + count]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [
        {key: row[key] for key in ("id", "image_id", "category_id", "bbox", "area", "iscrowd") if key in row}
        for row in content["annotations"]
        if row["image_id"] in kept
    ]
    content = {key: content[key] for key in ("images", "annotations", "categories")}
    (out / "instances.json").write_text(json.dumps(content))
    for image in content["images"]:
        shutil.copy(shared / "coco" / "val" / image["file_name"], out)


def files_of(folder: Path) -> list[bytes]:
    """The photos of a pack, as files in memory."""
    return [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
