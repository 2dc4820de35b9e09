"""What a model found in every photo of a set, in one small file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from detrt.detections import Detections
from detrt.files import whole

FAINTEST = 0.01
"""Rows below this score are left out: no comparison counts them, and they are nine tenths of a DETR's rows."""


def save_found(path: Path, found: Mapping[int, Detections], names: Mapping[int, str]) -> None:
    """Write detections by image id, with the photos' file names."""
    rows = {number: detections.above(FAINTEST) for number, detections in found.items()}
    with whole(path) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            ids=np.array(list(rows), np.int64),
            names=np.array([names[number] for number in rows], str),
            counts=np.array([len(each) for each in rows.values()], np.int64),
            boxes=np.concatenate([each.boxes for each in rows.values()]),
            scores=np.concatenate([each.scores for each in rows.values()]),
            labels=np.concatenate([each.labels for each in rows.values()]),
        )


def load_found(path: Path) -> dict[str, Detections]:
    """Detections by the photo's file name, in the order of the set."""
    with np.load(path, allow_pickle=False) as file:
        ends = np.cumsum(file["counts"])[:-1]
        parts = zip(*(np.split(file[name], ends) for name in ("boxes", "scores", "labels")), strict=True)
        return {
            str(name): Detections(boxes, scores, labels)
            for name, (boxes, scores, labels) in zip(file["names"], parts, strict=True)
        }
