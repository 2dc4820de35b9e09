"""Do two models find the same in photos? Agreement, drift of scores and boxes, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from detrt.compare.matching import match
from detrt.detections import Detections, Floats

Verdict = Literal["same", "drifts", "broken"]

THRESHOLD = 0.3
"""A detection counts where either model gives it this score; fainter ones are nobody's result."""

SAME_CLOSENESS, SAME_AGREEMENT = 0.97, 0.98
BROKEN_CLOSENESS, BROKEN_AGREEMENT = 0.85, 0.90
"""Limits of the verdict: docs/compare.md says what was measured to set them."""


@dataclass(frozen=True)
class Spread:
    """How a quantity is distributed over detections; zeros where there are none."""

    mean: float
    median: float
    p90: float
    most: float

    @staticmethod
    def of(values: Floats) -> Spread:
        """Of any number of values."""
        if not values.size:
            return Spread(0.0, 0.0, 0.0, 0.0)
        return Spread(
            *(float(value) for value in (values.mean(), np.median(values), np.quantile(values, 0.9), values.max()))
        )


@dataclass(frozen=True)
class PhotoDifference:
    """What two models find differently in one photo."""

    name: str
    counted: int
    agreed: int
    closeness: float


@dataclass(frozen=True)
class DetectionComparison:
    """Two models over a set of photos. Drifts are the second's minus the first's, over the pairs that count.

    Attributes:
        photos: of each photo, in order.
        counted: detections that score `threshold` in either model, pairs counted once.
        agreed: those of them that both models have.
        only_first, only_second: the others.
        score_drift: of the size of the difference; score_shift is its mean with sign.
        box_drift: largest distance of a corner's coordinates, in pixels of the photo.
        iou: overlap of the pairs' boxes, as 1 - IoU.
        closeness: mean over all counted detections of IoU * (1 - |score drift|), 0 for those without a partner.
        not_finite: photos in which the second model gave NaN or infinity.
    """

    threshold: float
    photos: tuple[PhotoDifference, ...]
    counted: int
    agreed: int
    only_first: int
    only_second: int
    score_drift: Spread
    score_shift: float
    box_drift: Spread
    iou_loss: Spread
    closeness: float
    not_finite: tuple[str, ...] = ()

    @property
    def agreement(self) -> float:
        """Part of the counted detections that both models have; 1 where neither has any."""
        return self.agreed / self.counted if self.counted else 1.0

    @property
    def verdict(self) -> Verdict:
        """`same`: nobody would see a difference. `broken`: the second model is not the first any more."""
        if self.not_finite or self.closeness < BROKEN_CLOSENESS or self.agreement < BROKEN_AGREEMENT:
            return "broken"
        return "same" if self.closeness >= SAME_CLOSENESS and self.agreement >= SAME_AGREEMENT else "drifts"

    @property
    def reason(self) -> str:
        """The figures that the verdict stands on."""
        if self.not_finite:
            return f"NaN or infinity in {len(self.not_finite)} photos, the first of them {self.not_finite[0]}"
        same, broken = (SAME_AGREEMENT, SAME_CLOSENESS), (BROKEN_AGREEMENT, BROKEN_CLOSENESS)
        limits = {
            "same": "both at least {:.0%} and {:.2f}".format(*same),
            "drifts": "one below {:.0%} or {:.2f}, none below {:.0%} or {:.2f}".format(*same, *broken),
            "broken": "one below {:.0%} or {:.2f}".format(*broken),
        }[self.verdict]
        return f"agreement {self.agreement:.1%}, closeness {self.closeness:.3f}: {limits}"

    def worst(self, count: int) -> list[PhotoDifference]:
        """The photos that differ most."""
        return sorted(self.photos, key=lambda photo: photo.closeness)[:count]


@dataclass
class Comparing:
    """Gathers photos one by one into a `DetectionComparison`."""

    threshold: float = THRESHOLD
    _photos: list[PhotoDifference] = field(default_factory=list)
    _score: list[Floats] = field(default_factory=list)
    _box: list[Floats] = field(default_factory=list)
    _iou: list[Floats] = field(default_factory=list)
    _alone: list[tuple[int, int]] = field(default_factory=list)
    _not_finite: list[str] = field(default_factory=list)

    def add(self, name: str, first: Detections, second: Detections) -> PhotoDifference:
        """Compare what both models found in one photo."""
        pairs = match(first, second)
        counts = np.maximum(first.scores[pairs.first], second.scores[pairs.second]) >= self.threshold
        rows, columns, iou = pairs.first[counts], pairs.second[counts], pairs.iou[counts]
        drift = second.scores[columns] - first.scores[rows]
        alone = (
            int((first.scores[pairs.alone_first] >= self.threshold).sum()),
            int((second.scores[pairs.alone_second] >= self.threshold).sum()),
        )
        self._score.append(drift)
        self._box.append(np.abs(second.boxes[columns] - first.boxes[rows]).max(axis=1, initial=0.0))
        self._iou.append(iou)
        self._alone.append(alone)
        counted = len(rows) + sum(alone)
        closeness = float((iou * (1 - np.abs(drift))).sum()) / counted if counted else 1.0
        self._photos.append(PhotoDifference(name, counted, len(rows), closeness))
        return self._photos[-1]

    def add_not_finite(self, name: str) -> None:
        """The second model gave no numbers for this photo."""
        self._not_finite.append(name)
        self._photos.append(PhotoDifference(name, 0, 0, 0.0))

    def result(self) -> DetectionComparison:
        """Everything so far."""
        drift, box, iou = (_joined(parts) for parts in (self._score, self._box, self._iou))
        only_first, only_second = (sum(counts) for counts in zip(*self._alone, strict=True)) if self._alone else (0, 0)
        counted = len(drift) + only_first + only_second
        return DetectionComparison(
            threshold=self.threshold,
            photos=tuple(self._photos),
            counted=counted,
            agreed=len(drift),
            only_first=only_first,
            only_second=only_second,
            score_drift=Spread.of(np.abs(drift)),
            score_shift=float(drift.mean()) if drift.size else 0.0,
            box_drift=Spread.of(box),
            iou_loss=Spread.of(1 - iou),
            closeness=float((iou * (1 - np.abs(drift))).sum()) / counted if counted else 1.0,
            not_finite=tuple(self._not_finite),
        )


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([*parts, np.zeros(0, np.float32)])
