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
        scaled_to = [fed_size(placement) for placement in placements]
    else:
        logits, centred = outputs[contract.output("logits")], outputs[contract.output("boxes")]
        boxes, scores, labels = _best(logits[:count], centred[:count], contract.top_k)
        scaled_to = [(1, 1)] * count
    scores, labels = scores.astype(np.float32, copy=False), labels.astype(np.int64, copy=False)
    make = Detections if (scores[:, 1:] <= scores[:, :-1]).all() else Detections.of  # sorts, also where there is NaN
    return [
        make(_in_photo(boxes[row], scaled_to[row], placement), scores[row], labels[row])
        for row, placement in enumerate(placements)
    ]


def fed_size(placement: Placement) -> tuple[int, int]:
    """What `orig_target_sizes` takes, width and height: the input's extent in photo pixels, in whole ones."""
    width, height = placement.span
    return round(width), round(height)


def sizes_to_feed(placements: Sequence[Placement]) -> npt.NDArray[np.int64]:
    """`fed_size` of each, (N, 2)."""
    return np.array([fed_size(placement) for placement in placements], np.int64).reshape(-1, 2)


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


def _in_photo(boxes: Array, scaled_to: tuple[int, int], placement: Placement) -> Array:
    """Boxes (rows, 4) scaled to (width, height), in the photo's pixels from its own corner, not the padding's."""
    boxes = boxes.astype(np.float32, copy=False)
    across, down = placement.span[0] / scaled_to[0], placement.span[1] / scaled_to[1]
    if (across, down) != (1, 1):  # 1, or close to it where a letterbox's extent was rounded
        boxes = boxes * np.array((across, down, across, down), np.float32)
    left, top = placement.offset
    return boxes - np.array((left, top, left, top), np.float32) if left or top else boxes
