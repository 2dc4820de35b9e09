"""The pictures that the model is judged on: always the same ones; and its AP on them, by detrt's own scorer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tools.train_shapes.outlines import CLASSES
from tools.train_shapes.scenes import SIDE, Scene, scene

from detrt.detections import Detections
from detrt.evaluate.dataset import CocoDataset, CocoPhoto
from detrt.evaluate.scorer import CocoScores, score
from detrt.models.rtdetrv2 import RTDETRv2, detections

SEED = 2026
PICTURES = 500
CALIBRATION_SEED = 2027
CALIBRATION = 256  # pictures to calibrate quantisation on
BATCH = 50


def validation_scene(index: int, *, side: int = SIDE, difficulty: float = 1.0) -> Scene:
    """Picture `index` of the validation set; training's seeds have another length, so it never meets one of these."""
    return scene(np.random.default_rng([SEED, index]), difficulty=difficulty, side=side)


def coco_annotations(scenes: Sequence[Scene]) -> dict[str, Any]:
    """The scenes' boxes as COCO's JSON has them; ids and categories count from 1."""
    objects = [
        (image, box, label)
        for image, drawn in enumerate(scenes, 1)
        for box, label in zip(drawn.boxes, drawn.labels, strict=True)
    ]
    return {
        "info": {"description": "Drawn shapes", "version": "1"},
        "images": [
            {
                "id": image,
                "file_name": f"{image:06}.png",
                "width": drawn.pixels.shape[1],
                "height": drawn.pixels.shape[0],
            }
            for image, drawn in enumerate(scenes, 1)
        ],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": int(label) + 1,
                "bbox": [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])],
                "area": float((box[2] - box[0]) * (box[3] - box[1])),
                "iscrowd": 0,
            }
            for number, (image, box, label) in enumerate(objects, 1)
        ],
        "categories": [{"id": label, "name": name} for label, name in enumerate(CLASSES, 1)],
    }


def write_validation(folder: Path, count: int = PICTURES) -> None:
    """The set as PNG pictures under `folder/val` and `folder/instances_val.json`; and others under `folder/calib`."""
    scenes = [validation_scene(index) for index in range(count)]
    content = coco_annotations(scenes)
    names = [image["file_name"] for image in content["images"]]
    others = [scene(np.random.default_rng([CALIBRATION_SEED, index])) for index in range(min(count, CALIBRATION))]
    for part, drawn in (("val", scenes), ("calib", others)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for one, name in zip(drawn, names, strict=False):
            Image.fromarray(one.pixels).save(folder / part / name)
    (folder / "instances_val.json").write_text(json.dumps(content))


class Judge:
    """Holds the first `count` pictures of the validation set and scores models on them."""

    def __init__(self, count: int, device: torch.device, *, side: int = SIDE, difficulty: float = 1.0) -> None:
        scenes = [validation_scene(index, side=side, difficulty=difficulty) for index in range(count)]
        content = coco_annotations(scenes)
        photos = tuple(CocoPhoto(image["id"], Path(image["file_name"])) for image in content["images"])
        categories = tuple(range(1, len(CLASSES) + 1))
        self.truth = CocoDataset(content, photos, categories, CLASSES)
        self._pixels = torch.from_numpy(np.stack([drawn.pixels for drawn in scenes]))
        self._device = device
        self._side = side

    @torch.inference_mode()
    def scores(self, model: RTDETRv2) -> CocoScores:
        """COCO's figures of the model, which must be in evaluation mode; in float32."""
        found: dict[int, Detections] = {}
        for start in range(0, len(self._pixels), BATCH):
            pixels = self._pixels[start : start + BATCH].to(self._device)
            logits, boxes = model(pixels.permute(0, 3, 1, 2).float() / 255)
            sizes = torch.full((len(pixels), 2), self._side, device=self._device)
            rows = detections(logits.float(), boxes.float(), sizes, model.variant.queries)
            for offset, (labels, corners, scores) in enumerate(
                zip(*(part.cpu().numpy() for part in rows), strict=True)
            ):
                found[start + offset + 1] = Detections.of(corners, scores, labels)
        return score(self.truth, found, self.truth.category_ids)
