"""Detections that another program wrote as COCO's result file, such as `detrt-run --coco-results`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson

from detrt.detections import Detections
from detrt.errors import DatasetError
from detrt.evaluate.dataset import CocoDataset


def found_in_results(path: Path, dataset: CocoDataset) -> dict[int, Detections]:
    """Detections by image id; their labels are positions in `dataset.category_ids`, ready for `score`.

    Photos of the set without a row have no detections; rows of other photos are left out, so that the results of a
    whole set can be scored on a part of it.

    Raises:
        DatasetError: the file is no result file, or has a category that the set does not have.
    """
    labels = {category: label for label, category in enumerate(dataset.category_ids)}
    try:
        rows = orjson.loads(path.read_bytes())
        if not isinstance(rows, list):
            raise TypeError("it is no list")
        ids = np.array([row["image_id"] for row in rows], np.int64)
        corners = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
        scores = np.array([row["score"] for row in rows], np.float32)
        categories = [row["category_id"] for row in rows]
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.", "Check the path of --results.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path} is not a COCO result file: {type(error).__name__} {error}.",
            "It needs a list of rows with image_id, category_id, bbox and score.",
        ) from error
    unknown = sorted(set(categories) - set(labels))
    if unknown:
        raise DatasetError(
            f"{path} has the category {unknown[0]}, which is none of the {len(labels)} of the annotations.",
            "Give the annotations that the results were made for.",
        )
    named = np.array([labels[category] for category in categories], np.int64)
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1).astype(np.float32)
    order = np.argsort(ids, kind="stable")
    starts = np.searchsorted(ids[order], [photo.id for photo in dataset.photos], side="left")
    ends = np.searchsorted(ids[order], [photo.id for photo in dataset.photos], side="right")
    return {
        photo.id: Detections.of(boxes[rows], scores[rows], named[rows])
        for photo, rows in zip(
            dataset.photos, (order[start:end] for start, end in zip(starts, ends, strict=True)), strict=True
        )
    }
