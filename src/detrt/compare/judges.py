"""Judges of a repair: agreement with the reference, or AP; and what builds the candidates."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import onnx
import onnxruntime

from detrt.compare.detections import Comparing
from detrt.detections import Detections
from detrt.detector import Detector, contract_of
from detrt.engine.options import BuildOptions
from detrt.errors import NonFiniteError
from detrt.evaluate import evaluate
from detrt.evaluate.dataset import CocoDataset
from detrt.files import stamp_of
from detrt.graph.onnx_file import save
from detrt.images.sources import open_items
from detrt.pipeline import Outcome, detect_stream
from detrt.runtime.base import Runtime
from detrt.runtime.onnxruntime import OnnxRuntime


class Build(Protocol):
    """Makes a candidate that runs.

    Attributes:
        name: what makes and runs it, with versions and options: all but the model that a score depends on.
    """

    @property
    def name(self) -> str: ...

    def __call__(self, model: onnx.ModelProto) -> Runtime: ...


class AgreementJudge:
    """Closeness of a candidate's detections to the reference's (`DetectionComparison.closeness`), 0 to 1.

    A candidate that gives NaN or infinity is none to use, however close the rest is: it scores below 0, by the share
    of photos that it does so in.
    """

    def __init__(self, reference: Detector, photos: Sequence[Path], build: Build, *, model_hash: str = "") -> None:
        """Detect with the reference; its contract is the candidates' too.

        Args:
            reference: what is right. It may be closed afterwards.
            photos: photos or videos, see `find_files`.
            build: makes the candidates.
            model_hash: identifies the reference's model in `name`.
        """
        told = (build.name, reference.runtime.name, model_hash, reference.contract, *_stamps(photos))
        self.name = "|".join(map(str, ("agreement", *told)))
        self._build, self._photos, self._contract = build, photos, reference.contract
        self._wanted = [_found(outcome) for outcome in detect_stream(reference, open_items(photos))]

    def __call__(self, model: onnx.ModelProto) -> float:
        """Build, run, compare."""
        comparing = Comparing()
        with Detector(self._build(model), self._contract) as detector:
            outcomes = detect_stream(detector, open_items(self._photos))
            for number, (wanted, outcome) in enumerate(zip(self._wanted, outcomes, strict=True)):
                if isinstance(outcome.error, NonFiniteError):
                    comparing.add_not_finite(str(number))
                else:
                    comparing.add(str(number), wanted, _found(outcome))
        result = comparing.result()
        return -len(result.not_finite) / len(self._wanted) if result.not_finite else result.closeness


class ApJudge:
    """COCO AP of a candidate, 0 to 100. One that gives NaN or infinity has none (`NonFiniteError`)."""

    def __init__(self, dataset: CocoDataset, build: Build, *, overrides: Mapping[str, Any] | None = None) -> None:
        self._dataset, self._build, self._overrides = dataset, build, dict(overrides or {})
        self.name = f"ap|{build.name}|{dataset.fingerprint()}|{sorted(self._overrides.items())}"

    def __call__(self, model: onnx.ModelProto) -> float:
        """Build and evaluate."""
        runtime = self._build(model)
        with (
            Detector(runtime, contract_of(runtime, self._overrides)) as detector,
            tempfile.TemporaryDirectory() as folder,
        ):
            return evaluate(detector, self._dataset, journal=Path(folder) / "journal.jsonl").scores.ap


@dataclass(frozen=True)
class OnnxRuntimeBuilder:
    """Candidates in ONNX Runtime, as it optimises them."""

    device: str = "auto"

    @property
    def name(self) -> str:
        """Its version, and where it runs."""
        return f"ONNX Runtime {onnxruntime.__version__}|{self.device}"

    def __call__(self, model: onnx.ModelProto) -> Runtime:
        """Load."""
        return OnnxRuntime(model.SerializeToString(), device=self.device)


@dataclass(frozen=True)
class EngineBuilder:
    """Candidates as TensorRT engines, built in a folder that holds the latest of them."""

    folder: Path
    options: BuildOptions
    device: str = "auto"

    @property
    def name(self) -> str:
        """What builds, how, and the GPU; a `MissingExtraError` where there is no TensorRT."""
        from detrt.engine.flavour import find
        from detrt.runtime.cuda import first_gpu

        gpu = first_gpu()
        return f"{find(self.options.flavour)}|{self.options}|{self.device}|{gpu and (gpu.name, gpu.capability)}"

    def __call__(self, model: onnx.ModelProto) -> Runtime:
        """Build and load."""
        from detrt.engine.builder import build_engine
        from detrt.runtime.tensorrt import TensorRTRuntime

        source, engine = self.folder / "candidate.onnx", self.folder / "candidate.engine"
        save(model, source)
        build_engine(source, engine, self.options, force=True)
        return TensorRTRuntime(engine, device=self.device)


def _found(outcome: Outcome) -> Detections:
    if outcome.error:
        raise outcome.error
    assert outcome.detections is not None
    return outcome.detections


def _stamps(photos: Sequence[Path]) -> list[str]:
    return [f"{photo}|{stamp_of(photo)}" for photo in photos]
