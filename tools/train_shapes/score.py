"""A checkpoint's AP through PyTorch, from the PNG pictures on: what `detrt eval` does with its export."""

from __future__ import annotations

import tempfile
from pathlib import Path

from detrt.benchmark.pytorch import torch_runtime
from detrt.detector import Detector, contract_of
from detrt.evaluate import coco_dataset
from detrt.evaluate.report import write_json
from detrt.evaluate.run import evaluate
from detrt.evaluate.scorer import CocoScores
from detrt.files import sha256_of

BATCH = 10


def scores_of_checkpoint(checkpoint: Path, pictures: Path, limit: int | None, report: Path | None) -> CocoScores:
    """Score the pictures that `train_shapes validation` wrote, in float32; `report` takes what `detrt eval` writes."""
    dataset = coco_dataset(pictures / "instances_val.json", pictures / "val", limit=limit)
    runtime = torch_runtime(str(checkpoint), precision="fp32", compiled=False)
    with tempfile.TemporaryDirectory() as folder, Detector(runtime, contract_of(runtime, {})) as detector:
        done = evaluate(detector, dataset, batch=BATCH, journal=Path(folder) / "journal")
    if report:
        write_json(report, done, model=checkpoint, model_hash=sha256_of(checkpoint), runtime=runtime.name)
    return done.scores
