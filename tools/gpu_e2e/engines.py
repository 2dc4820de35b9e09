"""Engines of the models that travel, built once a machine."""

from __future__ import annotations

import time
from pathlib import Path

from detrt.engine.builder import build_engine
from detrt.engine.options import Batch, BuildOptions
from detrt.graph.precision import Precision

WORK = Path("/tmp/engines")


def engine_of(model: Path, batch: int, precision: Precision) -> Path:
    target = WORK / f"{model.stem}_{precision}_b{batch}.engine"
    if not target.is_file():
        started = time.perf_counter()
        build_engine(model, target, BuildOptions(precision=precision, batch=Batch(batch, batch, batch)))
        print(f"built {target.name} in {time.perf_counter() - started:.1f} s")
    return target
