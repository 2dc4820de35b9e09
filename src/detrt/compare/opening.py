"""Open whatever can be compared as a detector: ONNX files, engines, and checkpoints in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detrt.detector import Detector, contract_of
from detrt.models.registry import CHECKPOINTS


def open_detector(model: Path, *, device: str = "auto", overrides: Mapping[str, Any] | None = None) -> Detector:
    """The model as a detector; a checkpoint runs in PyTorch, in float32, as it was trained.

    Raises:
        ModelError: see `Detector.open`; for a checkpoint, its weights are of unknown make.
        MissingExtraError: a checkpoint, and no PyTorch.
    """
    if model.suffix not in CHECKPOINTS:
        return Detector.open(model, device=device, overrides=overrides)
    from detrt.benchmark.pytorch import torch_runtime

    runtime = torch_runtime(str(model), precision="fp32", compiled=False, device=device)
    return Detector(runtime, contract_of(runtime, overrides or {}))
