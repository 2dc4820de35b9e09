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
    if contract.output_form == "detections":
        rows = zip(*(outputs[contract.output(role)] for role in ("boxes", "scores", "labels")), strict=True)
        scaled_to = sizes_to_feed(placements)
    else:
        logits, boxes = outputs[contract.output("logits")], outputs[contract.output("boxes")]
        rows = zip(*_best(logits, boxes, placements, contract.top_k), strict=True)
        scaled_to = np.ones((len(placements), 2), np.int64)
    return [
        Detections.of(_in_photo(boxes, scale, placement), scores, labels)
        for placement, scale, (boxes, scores, labels) in zip(placements, scaled_to, rows, strict=False)
    ]


def sizes_to_feed(placements: Sequence[Placement]) -> npt.NDArray[np.int64]:
    """What `orig_target_sizes` takes, (N, 2) as width, height: the input's extent in photo pixels, in whole ones."""
    return np.array([[round(side) for side in placement.span] for placement in placements], np.int64).reshape(-1, 2)


def _best(
    logits: Array, boxes: Array, placements: Sequence[Placement], top_k: int
) -> tuple[list[Array], list[Array], list[Array]]:
    """The `top_k` best of queries x classes, as the family's own postprocessing takes them; boxes in 0..1.

    One query may give several classes; taking each query's best class alone costs 0.9 AP.
    """
    picked_boxes, picked_scores, picked_labels = [], [], []
    classes = logits.shape[2]
    for photo_logits, photo_boxes in zip(logits[: len(placements)], boxes, strict=False):
        flat = photo_logits.reshape(-1).astype(np.float32)
        keep = min(top_k, flat.size)
        # NaN sorts as the largest value, so a broken model's NaN is kept for the check that refuses it
        best = np.argpartition(flat, flat.size - keep)[flat.size - keep :]
        best = best[np.argsort(-flat[best], kind="stable")]
        center, extent = np.split(photo_boxes[best // classes].astype(np.float32), 2, axis=1)
        corners = np.concatenate([center - extent / 2, center + extent / 2], axis=1)
        picked_boxes.append(corners)
        picked_scores.append(1 / (1 + np.exp(-flat[best])))
        picked_labels.append(best % classes)
    return picked_boxes, picked_scores, picked_labels


def _in_photo(boxes: Array, scaled_to: Array, placement: Placement) -> Array:
    """Boxes that are scaled to (width, height), in the photo's pixels from its own corner, not the padding's."""
    stretch = np.array(placement.span) / scaled_to  # 1, or close to it where a letterbox's extent was rounded
    scaled = boxes if (stretch == 1).all() else boxes * np.tile(stretch, 2).astype(np.float32)
    x, y = placement.offset
    return scaled - np.array([x, y, x, y], np.float32) if x or y else scaled
