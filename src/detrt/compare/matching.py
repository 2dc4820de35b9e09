"""Which detection of one model is which of another, whatever their order.

The rows of a DETR are a set. Two right engines put them in different orders, since scores that nearly tie swap places
in the top-k, so anything that compares row by row fails on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detrt.detections import Detections, Floats

LEAST_IOU = 0.5
"""Less overlap than this is another object."""


@dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of detections of one photo, and who is left alone.

    Attributes:
        first, second: (M,) indices into either set; the same position is a pair.
        iou: (M,) overlap of each pair.
        alone_first, alone_second: indices without a partner.
    """

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    iou: Floats
    alone_first: npt.NDArray[np.int64]
    alone_second: npt.NDArray[np.int64]


def match(first: Detections, second: Detections) -> Matches:
    """Pair detections of equal label that overlap, best pairs first: by overlap, less what their scores differ by.

    The scores have a say because one object often has several rows, one right and some faint.
    """
    iou = overlaps(first.boxes, second.boxes)
    fits = (first.labels[:, None] == second.labels) & (iou >= LEAST_IOU)
    rows, columns = np.nonzero(fits)
    affinity = iou[rows, columns] - np.abs(first.scores[rows] - second.scores[columns])
    free_rows, free_columns = np.ones(len(first), bool), np.ones(len(second), bool)
    pairs = []
    for candidate in np.argsort(-affinity, kind="stable"):
        row, column = rows[candidate], columns[candidate]
        if free_rows[row] and free_columns[column]:
            free_rows[row] = free_columns[column] = False
            pairs.append((row, column))
    paired = np.array(pairs, np.int64).reshape(-1, 2)
    return Matches(
        first=paired[:, 0],
        second=paired[:, 1],
        iou=iou[paired[:, 0], paired[:, 1]],
        alone_first=np.nonzero(free_rows)[0],
        alone_second=np.nonzero(free_columns)[0],
    )


def overlaps(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> Floats:
    """Intersection over union of every pair of boxes, (N, 4) and (M, 4) xyxy -> (N, M)."""
    first, second = first.astype(np.float32), second.astype(np.float32)
    corner = np.maximum(first[:, None, :2], second[:, :2])
    extent = np.clip(np.minimum(first[:, None, 2:], second[:, 2:]) - corner, 0, None)
    shared = extent.prod(axis=2)
    area_first = np.clip(first[:, 2:] - first[:, :2], 0, None).prod(axis=1)
    area_second = np.clip(second[:, 2:] - second[:, :2], 0, None).prod(axis=1)
    union = area_first[:, None] + area_second - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), np.float32)
