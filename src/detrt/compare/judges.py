"""Judges of a repair: agreement with the reference, or AP; and what builds the candidates."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from detrt.compare.detections import Comparing
from detrt.detections import Detections
from detrt.detector import Detector, contract_of
from detrt.engine.options import BuildOptions
from detrt.evaluate import evaluate
from detrt.evaluate.dataset import CocoDataset
from detrt.graph.onnx_file import save
from detrt.images.sources import open_items
from detrt.pipeline import detect_stream
from detrt.runtime.base import Runtime
from detrt.runtime.onnxruntime import OnnxRuntime

Build = Callable[[onnx.ModelProto], Runtime]
"""Makes a candidate that runs."""


class AgreementJudge:
    """Closeness of a candidate's detections to the reference's (`DetectionComparison.closeness`), 0 to 1."""

    def __init__(self, reference: Detector, photos: Sequence[Path], build: Build, *, name: str) -> None:
        self.name = f"agreement|{name}|{reference.runtime.name}|{'|'.join(map(str, photos))}"
        self._build, self._photos, self._contract = build, photos, reference.contract
        self._wanted = _detections(reference, photos)

    def __call__(self, model: onnx.ModelProto) -> float:
        """Build, run, compare. A candidate that gives NaN in a photo gets nothing for it."""
        runtime = self._build(model)
        with Detector(runtime, self._contract) as detector:
            comparing = Comparing()
            for number, (wanted, found) in enumerate(
                zip(self._wanted, _detections(detector, self._photos), strict=True)
            ):
                comparing.add(str(number), wanted, found)
        return comparing.result().closeness


class ApJudge:
    """COCO AP of a candidate, 0 to 100."""

    def __init__(
        self, dataset: CocoDataset, build: Build, *, name: str, overrides: Mapping[str, Any] | None = None
    ) -> None:
        self.name = f"ap|{name}|{len(dataset.photos)} photos of {dataset.photos[0].path.parent}"
        self._dataset, self._build, self._overrides = dataset, build, overrides or {}

    def __call__(self, model: onnx.ModelProto) -> float:
        """Build and evaluate."""
        runtime = self._build(model)
        with (
            Detector(runtime, contract_of(runtime, self._overrides)) as detector,
            tempfile.TemporaryDirectory() as folder,
        ):
            return evaluate(detector, self._dataset, journal=Path(folder) / "journal.jsonl").scores.ap


def onnxruntime_builder(device: str) -> Build:
    """Candidates in ONNX Runtime, as it optimises them."""
    return lambda model: OnnxRuntime(model.SerializeToString(), device=device)


@dataclass(frozen=True)
class EngineBuilder:
    """Candidates as TensorRT engines, built in a folder that holds the latest of them."""

    folder: Path
    options: BuildOptions
    device: str = "auto"

    def __call__(self, model: onnx.ModelProto) -> Runtime:
        """Build and load."""
        from detrt.engine.builder import build_engine
        from detrt.runtime.tensorrt import TensorRTRuntime

        source, engine = self.folder / "candidate.onnx", self.folder / "candidate.engine"
        save(model, source)
        build_engine(source, engine, self.options, force=True)
        return TensorRTRuntime(engine, device=self.device)


def _detections(detector: Detector, photos: Sequence[Path]) -> list[Detections]:
    found = []
    for outcome in detect_stream(detector, open_items(photos)):
        if outcome.error:
            raise outcome.error
        assert outcome.detections is not None
        found.append(outcome.detections)
    return found
