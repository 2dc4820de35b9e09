"""COCO AP of an ONNX model on the CPU, remembered, so that the same model is never evaluated twice."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import onnx

from detrt.contract import ModelContract
from detrt.detector import Detector
from detrt.evaluate import CocoDataset, evaluate
from detrt.files import whole
from detrt.graph.onnx_file import sha256_of_model
from detrt.progress import Progress, silent
from detrt.quantize.cache import cache_folder, cache_key
from detrt.runtime.onnxruntime import OnnxRuntime


def measured_ap(
    model: Path | onnx.ModelProto,
    contract: ModelContract,
    labelled: CocoDataset,
    *,
    progress: Progress = silent,
    stage: str = "AP",
) -> float:
    """COCO AP (0..100) of a file or of a model in memory. An interrupted evaluation goes on where it was.

    Raises:
        NonFiniteError: the model gives NaN or infinity.
    """
    source = model if isinstance(model, Path) else model.SerializeToString()
    model_hash = hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else sha256_of_model(source)
    journal = cache_folder("ap") / f"{cache_key(model_hash, repr(contract), labelled.fingerprint())}.jsonl"
    known = journal.with_suffix(".json")
    if known.is_file():
        return float(json.loads(known.read_text()))
    with Detector(OnnxRuntime(source, device="cpu"), contract) as detector:
        done = evaluate(
            detector,
            labelled,
            journal=journal,
            model_hash=model_hash,
            resume=True,
            progress=lambda _, done, total: progress(stage, done, total),
        )
    with whole(known) as part:
        part.write_text(json.dumps(done.scores.ap))
    return done.scores.ap
