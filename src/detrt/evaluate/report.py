"""An evaluation as JSON."""

from __future__ import annotations

from pathlib import Path

import orjson

from detrt.evaluate.run import Evaluation
from detrt.files import whole


def write_json(path: Path, done: Evaluation, *, model: Path, model_hash: str, runtime: str) -> None:
    """Write scores (0..100), times (ms an image) and what they are of; the file is whole or not there."""
    content = {
        "model": str(model),
        "sha256": model_hash,
        "runtime": runtime,
        "photos": len(done.found),
        "scores": done.scores.figures,
        "by_class": done.scores.by_class,
        "ms_per_image": done.times.per_image(),
        "seconds": done.seconds,
    }
    with whole(path) as part:
        part.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
