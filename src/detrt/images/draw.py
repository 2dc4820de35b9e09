"""Detections drawn into a copy of their image, with the supervision library."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image

from detrt.detections import Detections
from detrt.images.read import Pixels

with warnings.catch_warnings():  # without OpenCV it draws as well, only slower, and says so at every start
    warnings.simplefilter("ignore", UserWarning)
    import supervision


def draw(pixels: Pixels, detections: Detections, class_names: Sequence[str] = ()) -> Pixels:
    """A copy of the image (h, w, 3 uint8 RGB) with boxes, names and scores; a class keeps its colour."""
    scene = Image.fromarray(pixels)
    if not len(detections):
        return np.asarray(scene)
    rows = detections.select(np.arange(len(detections))[::-1])  # the best last, on top of the others
    drawn = rows.to_supervision(class_names)
    names = [class_names[i] if 0 <= i < len(class_names) else f"class {i}" for i in rows.labels.tolist()]
    captions = [f"{name} {score:.2f}" for name, score in zip(names, rows.scores.tolist(), strict=True)]
    box, label = _annotators(*scene.size)
    return np.asarray(label.annotate(box.annotate(scene, drawn), drawn, labels=captions))


@lru_cache(maxsize=8)
def _annotators(width: int, height: int) -> tuple[supervision.BoxAnnotator, supervision.LabelAnnotator]:
    """Lines and letters that suit the size of the image."""
    thickness = supervision.calculate_optimal_line_thickness((width, height))
    scale = supervision.calculate_optimal_text_scale((width, height))
    colors = supervision.ColorPalette.DEFAULT
    return (
        supervision.BoxAnnotator(color=colors, thickness=thickness),
        supervision.LabelAnnotator(color=colors, text_scale=scale, text_padding=4, smart_position=True),
    )
