"""From a model's output tensors to detections in the pixels of each photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detrt.contract import ModelContract
from detrt.detections import Detections
from detrt.images.resize import Placement

Array = npt.NDArray[Any]


def decode(contract: ModelContract, outputs: Mapping[str, Array], placements: Sequence[Placement]) -> list[Detections]:
    """Detections of every photo of a batch, best first, unclipped as the model gave them.

    Args:
        contract: says which tensor is which, and whether boxes are final or raw.
        outputs: arrays with one row a photo; further rows (padding of a fixed batch) are ignored.
        placements: where each photo lay in the input.
    """
    count = len(placements)
    if contract.output_form == "detections":
        boxes, scores, labels = (outputs[contract.output(role)][:count] for role in ("boxes", "scores", "labels"))
        scaled_to = sizes_to_feed(placements)
    else:
        logits, centred = outputs[contract.output("logits")], outputs[contract.output("boxes")]
        boxes, scores, labels = _best(logits[:count], centred[:count], contract.top_k)
        scaled_to = np.ones((count, 2), np.int64)
    boxes = _in_photos(boxes.astype(np.float32, copy=False), scaled_to, placements)
    if (scores[:, 1:] <= scores[:, :-1]).all():  # not where there is NaN
        rows = zip(boxes, scores.astype(np.float32, copy=False), labels.astype(np.int64, copy=False), strict=True)
        return [Detections(*row) for row in rows]
    return [Detections.of(*row) for row in zip(boxes, scores, labels, strict=True)]


def sizes_to_feed(placements: Sequence[Placement]) -> npt.NDArray[np.int64]:
    """What `orig_target_sizes` takes, (N, 2) as width, height: the input's extent in photo pixels, in whole ones."""
    return np.array([[round(side) for side in placement.span] for placement in placements], np.int64).reshape(-1, 2)


def _best(logits: Array, centred: Array, top_k: int) -> tuple[Array, Array, Array]:
    """The `top_k` best of queries x classes, as the family's own postprocessing takes them; boxes in 0..1.

    One query may give several classes; taking each query's best class alone costs 0.9 AP.
    """
    classes = logits.shape[2]
    flat = logits.reshape(len(logits), -1).astype(np.float32)
    keep = min(top_k, flat.shape[1])
    # NaN sorts as the largest value, so a broken model's NaN is kept for the check that refuses it
    best = np.argpartition(flat, flat.shape[1] - keep)[:, flat.shape[1] - keep :]
    best = np.take_along_axis(best, np.argsort(-np.take_along_axis(flat, best, 1), kind="stable"), 1)
    scores = 1 / (1 + np.exp(-np.take_along_axis(flat, best, 1)))
    picked = np.take_along_axis(centred.astype(np.float32), best[..., None] // classes, 1)
    center, extent = np.split(picked, 2, axis=2)
    return np.concatenate([center - extent / 2, center + extent / 2], axis=2), scores, best % classes


def _in_photos(boxes: Array, scaled_to: Array, placements: Sequence[Placement]) -> Array:
    """Boxes (N, rows, 4) scaled to (width, height), in each photo's pixels from its own corner, not the padding's."""
    spans = np.array([placement.span for placement in placements]).reshape(-1, 2)
    stretch = spans / scaled_to  # 1, or close to it where a letterbox's extent was rounded
    if (stretch != 1).any():
        boxes = boxes * np.tile(stretch, 2).astype(np.float32)[:, None]
    corners = np.array([placement.offset for placement in placements], np.float32).reshape(-1, 2)
    return boxes - np.tile(corners, 2)[:, None] if corners.any() else boxes
