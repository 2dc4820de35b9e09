"""Run two detectors on the same photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detrt.compare.detections import THRESHOLD, Comparing, DetectionComparison
from detrt.detector import Detector
from detrt.errors import NonFiniteError
from detrt.images.sources import count_items, open_items
from detrt.pipeline import detect_stream
from detrt.progress import Progress, silent


def compare_detectors(
    first: Detector,
    second: Detector,
    photos: Sequence[Path],
    *,
    threshold: float = THRESHOLD,
    progress: Progress = silent,
) -> DetectionComparison:
    """Compare what two models find, each by its own contract; the first is the reference.

    Args:
        first: the reference. NaN from it is an error; from the second it is a finding.
        second: the one that is judged.
        photos: photos or videos, see `find_files`.
        threshold: score from which on a detection counts.
        progress: told after every photo.

    Raises:
        ImageError: a photo cannot be decoded.
        NonFiniteError: the reference gave NaN or infinity.
    """
    comparing = Comparing(threshold)
    total = count_items(photos)
    outcomes = zip(detect_stream(first, open_items(photos)), detect_stream(second, open_items(photos)), strict=True)
    for done, (one, other) in enumerate(outcomes, start=1):
        if one.error:
            raise one.error
        if isinstance(other.error, NonFiniteError):
            comparing.add_not_finite(one.item.name)
        elif other.error:
            raise other.error
        else:
            assert one.detections is not None
            assert other.detections is not None
            comparing.add(one.item.name, one.detections, other.detections)
        progress("photos", done, total)
    return comparing.result()
