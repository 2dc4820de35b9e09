"""How well a quantised model finds what the float model finds: a score in COCO's terms that needs no labels.

The float model's own confident detections on calibration photos are taken for the truth, and the other model's AP is
computed against them. It is 100 for the float model itself. Element-wise errors cannot say this: the order of three
hundred queries changes with the last bit, and most of them are background.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from detrt.contract import ModelContract
from detrt.decoding import decode
from detrt.detections import Detections
from detrt.errors import NonFiniteError, UsageError
from detrt.evaluate.dataset import CocoDataset
from detrt.evaluate.scorer import score
from detrt.progress import Progress, silent
from detrt.quantize.calibration import PreparedPhoto
from detrt.runtime.onnxruntime import OnnxRuntime

CONFIDENT = 0.3
"""Detections of the float model from this score on count as true; fewer photos give none of them below."""


def detections_of(
    model: onnx.ModelProto,
    contract: ModelContract,
    photos: Iterable[PreparedPhoto],
    *,
    total: int | None = None,
    progress: Progress = silent,
    stage: str = "Detecting",
) -> list[Detections]:
    """What the model finds on each photo, on the CPU; boxes lie in the photo itself where that is mirrored."""
    found = []
    with OnnxRuntime(model.SerializeToString(), device="cpu") as runtime:
        for number, photo in enumerate(photos, start=1):
            seen = decode(contract, runtime.run(photo.feeds), [photo.placement])[0]
            found.append(_turned_back(seen, photo.placement.photo[1]) if photo.mirrored else seen)
            progress(stage, number, total)
    return found


def _turned_back(found: Detections, width: int) -> Detections:
    boxes = found.boxes.copy()
    boxes[:, [0, 2]] = width - found.boxes[:, [2, 0]]
    return Detections(boxes, found.scores, found.labels)


GROUPS = 8
"""Of photos that are left out in turn to tell how sure an agreement is; each costs a scoring."""

MATCHED = 0.5
"""IoU from which on two boxes are of the same object."""

Array = npt.NDArray[Any]


class Agreement:
    """The float model's detections as the truth to score others against."""

    def __init__(self, reference: Sequence[Detections]) -> None:
        """Take the confident detections of `reference`, one a photo.

        Raises:
            NonFiniteError: the float model itself gives NaN or infinity.
            UsageError: there is no confident detection to agree with.
        """
        if not all(found.is_finite() for found in reference):
            raise NonFiniteError(
                "The float model gives NaN or infinity on a calibration photo.",
                "Mend or export the float model first; `detrt eval` names the photo.",
            )
        self._reference = reference
        self._truth = _as_dataset(reference)
        self._sure = [found.above(CONFIDENT) for found in reference]
        self.objects = len(self._truth.annotations["annotations"])
        if not self.objects:
            raise UsageError(
                f"The float model finds nothing with a score of {CONFIDENT} or more on {len(reference)} photos.",
                "Calibrate on photos that show what the model was trained to find.",
            )

    def __call__(self, found: Sequence[Detections]) -> float:
        """AP (0..100) of `found` against the float model's detections; 0 where any of it is NaN or infinite."""
        if not all(one.is_finite() for one in found):
            return 0.0
        numbered = dict(enumerate(found, start=1))
        known = self._truth.category_ids
        labels = 1 + max((int(one.labels.max()) for one in found if len(one)), default=0)
        return score(self._truth, numbered, known + (-1,) * (labels - len(known))).ap  # -1: a class never found before

    def error(self, found: Sequence[Detections]) -> float:
        """Standard error of the agreement: how far it is likely to be another on as many other photos.

        By the jackknife (B. Efron, C. Stein, 1981): each eighth of the photos is left out in turn. 0 where too few hold
        any confident detection to tell.
        """
        groups = min(GROUPS, len(found))
        rests = [[number for number in range(len(found)) if number % groups != group] for group in range(groups)]
        seen = [
            Agreement([self._reference[number] for number in rest])([found[number] for number in rest])
            for rest in rests
            if any(len(self._sure[number]) for number in rest)
        ]
        return float(np.sqrt(len(seen) - 1) * np.std(seen)) if seen else 0.0

    def change(self, found: Sequence[Detections]) -> float:
        """Mean square of how far the float model's detections moved: in score, and in 1 - IoU of their box.

        Rounding errors of different products are as good as independent, so the changes that they cause add up, which
        losses of agreement do not. And a change can be told apart from none at a hundredth of the photos.
        """
        total = sum(_change(sure, one) for sure, one in zip(self._sure, found, strict=True))
        return total / self.objects


def _change(sure: Detections, found: Detections) -> float:
    """Summed over the sure detections; one that is found no more counts with its whole score and box."""
    if not len(sure):
        return 0.0
    overlap = np.where(sure.labels[:, None] == found.labels, _iou(sure.boxes, found.boxes), 0.0)
    if not len(found):
        return float(np.square(sure.scores).sum() + len(sure))
    # of several on the same object, the one whose score is nearest
    apart = np.where(overlap > MATCHED, np.square(sure.scores[:, None] - found.scores) + np.square(1 - overlap), np.inf)
    best = apart.min(1)
    return float(np.where(np.isfinite(best), best, np.square(sure.scores) + 1).sum())


def _iou(some: Array, others: Array) -> Array:
    """Intersection over union of every pair, (n, m)."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), -1)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), -1) for boxes in (some, others)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1] - shared, 1e-9))


def _as_dataset(reference: Sequence[Detections]) -> CocoDataset:
    boxes: list[dict[str, Any]] = []
    for number, found in enumerate(reference, start=1):
        sure = found.above(CONFIDENT)
        for (left, top, right, bottom), label in zip(sure.boxes.tolist(), sure.labels.tolist(), strict=True):
            width, height = max(right - left, 1e-3), max(bottom - top, 1e-3)
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": number,
                    "category_id": label,
                    "bbox": [left, top, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
    labels = 1 + max((int(found.labels.max()) for found in reference if len(found)), default=0)
    ids = tuple(range(labels))
    images = [{"id": number, "file_name": str(number)} for number in range(1, len(reference) + 1)]
    categories = [{"id": label, "name": str(label)} for label in ids]
    content = {"images": images, "annotations": boxes, "categories": categories}
    return CocoDataset(content, (), ids, tuple(map(str, ids)))
