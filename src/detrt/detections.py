"""What was found in one image."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from detrt.errors import ModelError

if TYPE_CHECKING:
    import supervision

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes of one image, best first.

    Attributes:
        boxes: (N, 4) float32; x1, y1, x2, y2 in pixels of the original image.
        scores: (N,) float32 in 0..1, descending.
        labels: (N,) int64, an index into the contract's class names.

    Examples:
        >>> one = Detections.of(boxes=[[0, 0, 10, 20]], scores=[0.9], labels=[17])
        >>> len(one), one.above(0.95).boxes.shape
        (1, (0, 4))
    """

    boxes: Floats
    scores: Floats
    labels: Labels

    @staticmethod
    def of(boxes: npt.ArrayLike, scores: npt.ArrayLike, labels: npt.ArrayLike) -> Detections:
        """Detections from anything array-like, in any order of scores.

        Raises:
            ModelError: the three do not have the same number of rows.
        """
        box, score, label = (
            np.asarray(boxes, np.float32),
            np.asarray(scores, np.float32),
            np.asarray(labels, np.int64),
        )
        box = box.reshape(-1, 4)
        if not len(box) == score.size == label.size:
            raise ModelError(
                f"There are {len(box)} boxes, {score.size} scores and {label.size} labels.",
                "Give one score and one label for each box.",
            )
        order = np.argsort(-score.ravel(), kind="stable")
        return Detections(box[order], score.ravel()[order], label.ravel()[order])

    @staticmethod
    def empty() -> Detections:
        """No detections."""
        return Detections.of(boxes=[], scores=[], labels=[])

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, rows: npt.NDArray[Any] | Sequence[int]) -> Detections:
        """The detections that a boolean mask or ascending indices pick."""
        return Detections(self.boxes[rows], self.scores[rows], self.labels[rows])

    def above(self, threshold: float) -> Detections:
        """Those that score at least `threshold`."""
        return self.select(self.scores >= threshold)

    def of_classes(self, labels: Collection[int]) -> Detections:
        """Those of the given labels."""
        return self.select(np.isin(self.labels, list(labels)))

    def is_finite(self) -> bool:
        """Whether no box and no score is NaN or infinite."""
        return bool(np.isfinite(self.boxes).all() and np.isfinite(self.scores).all())

    def to_supervision(self, class_names: Sequence[str] = ()) -> supervision.Detections:
        """The same as a `supervision.Detections`, with class names in its `data` where they are given."""
        import supervision

        names = np.array(
            [class_names[i] if 0 <= i < len(class_names) else f"class {i}" for i in self.labels], dtype=str
        )
        return supervision.Detections(
            xyxy=self.boxes.copy(),
            confidence=self.scores.copy(),
            class_id=self.labels.astype(int),
            data={"class_name": names} if class_names else {},
        )

    def to_coco(self, image_id: int, category_ids: Sequence[int]) -> list[dict[str, Any]]:
        """COCO result rows: `bbox` is x, y, width, height; `category_id` is `category_ids[label]`."""
        corner, extent = (
            self.boxes[:, :2].astype(float),
            (self.boxes[:, 2:].astype(float) - self.boxes[:, :2]),
        )
        return [
            {"image_id": image_id, "category_id": category_ids[label], "bbox": [*xy, *wh], "score": score}
            for label, score, xy, wh in zip(
                self.labels.tolist(), self.scores.tolist(), corner.tolist(), extent.tolist(), strict=True
            )
        ]

    def to_json(self, class_names: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Plain rows: label, name (where known), score, box [x1, y1, x2, y2]."""
        return [
            {"label": label}
            | ({"name": class_names[label]} if 0 <= label < len(class_names) else {})
            | {"score": round(score, 5), "box": [round(value, 2) for value in box]}
            for label, score, box in zip(self.labels.tolist(), self.scores.tolist(), self.boxes.tolist(), strict=True)
        ]
