"""COCO AP of any detector: photos through the pipeline, detections to the scorer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from detrt.detections import Detections
from detrt.detector import Detector
from detrt.errors import DatasetError
from detrt.evaluate.annotated_photo import AnnotatedPhoto
from detrt.evaluate.dataset import CocoDataset, CocoPhoto
from detrt.evaluate.journal import Journal
from detrt.evaluate.scorer import CocoScores, score
from detrt.pipeline import detect_stream
from detrt.progress import Progress, silent
from detrt.stages import StageTimes


@dataclass(frozen=True)
class Evaluation:
    """The scores, what they were computed from, and where the time went."""

    scores: CocoScores
    found: dict[int, Detections]
    resumed: int
    times: StageTimes
    seconds: float
    scoring_seconds: float


def evaluate(
    detector: Detector,
    dataset: CocoDataset,
    *,
    batch: int = 1,
    journal: Path,
    model_hash: str = "",
    resume: bool = False,
    progress: Progress = silent,
) -> Evaluation:
    """Detect in every photo of the set and score what was found.

    Args:
        detector: the model; all of its rows count, there is no threshold.
        dataset: the set.
        batch: photos a run.
        journal: file that keeps each photo's detections until the scores are there.
        model_hash: identifies the model in the journal.
        resume: take what an interrupted run of the same model, contract and photos has left in the journal.
        progress: told after every photo.

    Raises:
        NonFiniteError: a photo gave NaN or infinity; names the photo.
        ImageError, DatasetError: a photo cannot be decoded or is not the one that was annotated, or a label has no
            category.
    """
    category_ids = dataset.categories_of(detector.contract)
    with Journal(journal, _key(detector, model_hash), resume=resume) as kept:
        wanted = [photo for photo in dataset.photos if photo.id not in kept.found]
        times = StageTimes()
        done = len(dataset.photos) - len(wanted)
        for image_id, detections in _detect(detector, wanted, batch, times):
            _check_labels(detections, category_ids, image_id)
            kept.add(image_id, detections)
            done += 1
            progress("photos", done, len(dataset.photos))
        seconds = times.wall
        found = {photo.id: kept.found[photo.id] for photo in dataset.photos}
        scores = score(dataset, found, category_ids)
        kept.discard()
    return Evaluation(scores, found, kept.resumed, times, seconds, times.wall - seconds)


def _detect(
    detector: Detector, photos: list[CocoPhoto], batch: int, times: StageTimes
) -> Iterator[tuple[int, Detections]]:
    items = map(AnnotatedPhoto, photos)
    with closing(detect_stream(detector, items, batch=batch, times=times, keep_pixels=False)) as outcomes:
        for photo, outcome in zip(photos, outcomes, strict=True):
            if outcome.error:
                raise outcome.error
            assert outcome.detections is not None
            yield photo.id, outcome.detections


def _check_labels(detections: Detections, category_ids: tuple[int, ...], image_id: int) -> None:
    if len(detections) and not 0 <= detections.labels.min() <= detections.labels.max() < len(category_ids):
        raise DatasetError(
            f"The model gave the label {detections.labels.max()} in image {image_id}, but there are "
            f"{len(category_ids)} categories.",
            "The annotations are of other classes than the model; give the model's names: --contract names=FILE",
        )


def _key(detector: Detector, model_hash: str) -> str:
    """Same model, same reading of it: same key."""
    return hashlib.sha256(f"{model_hash}|{detector.contract}|{detector.runtime.name}".encode()).hexdigest()
