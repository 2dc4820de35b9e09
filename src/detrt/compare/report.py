"""A comparison as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from detrt.compare.detections import DetectionComparison
from detrt.compare.layers import LayerComparison, TensorDrift
from detrt.files import name_of, save_json


def write_json(
    path: Path, detections: DetectionComparison, layers: LayerComparison | None, *, models: Sequence[Path]
) -> None:
    """Write every figure; the file is whole or not there."""
    content = {
        "models": [name_of(model) for model in models],
        "verdict": detections.verdict,
        "reason": detections.reason,
        "agreement": detections.agreement,
        "detections": asdict(detections),
        "first_drift": _tensor(layers.first) if layers and layers.first else None,
        "tensors": [_tensor(tensor) for tensor in layers.tensors] if layers else [],
    }
    save_json(path, content)


def _tensor(tensor: TensorDrift) -> dict[str, Any]:
    return {"name": tensor.name, "inherited": tensor.inherited, **asdict(tensor.drift)}
