"""An evaluation as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detrt.evaluate.run import Evaluation
from detrt.evaluate.scorer import CocoScores
from detrt.files import name_of, save_json


def write_json(path: Path, done: Evaluation, *, model: Path, model_hash: str, runtime: str) -> None:
    """Write scores (0..100), times (ms an image) and what they are of; the file is whole or not there."""
    origin = {"model": name_of(model), "sha256": model_hash, "runtime": runtime, "photos": len(done.found)}
    times = {"ms_per_image": done.times.per_image(), "seconds": done.seconds}
    save_json(path, origin | _scores(done.scores) | times)


def write_scores(path: Path, scores: CocoScores, *, results: Path, photos: int) -> None:
    """Write the scores of somebody's result file; the file is whole or not there."""
    save_json(path, {"results": name_of(results), "photos": photos} | _scores(scores))


def _scores(scores: CocoScores) -> dict[str, Any]:
    return {"scores": scores.figures, "by_class": scores.by_class}
