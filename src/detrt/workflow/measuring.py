"""The steps that measure models: AP, times, what they find otherwise, where tensors part, where the time goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from detrt.benchmark.run import benchmark
from detrt.benchmark.subjects import cases_of
from detrt.benchmark.turns import Pace
from detrt.compare.detections import Comparing
from detrt.compare.files import compare_layers_of
from detrt.compare.layers import TensorDrift
from detrt.detector import Detector
from detrt.evaluate import CocoDataset, evaluate
from detrt.files import save_json
from detrt.graph.onnx_file import sha256_of_model
from detrt.profile.live import profile_engine
from detrt.progress import Progress
from detrt.workflow import artefact
from detrt.workflow.artefact import REFERENCE, Artefact
from detrt.workflow.found import load_found, save_found

PROTOCOLS = ("engine", "infer", "e2e")
PROFILED_RUNS = 200
WORST_TENSORS = 5

PROFILE_FILES = ("graph.json", "profile.json", "timing.json", "profile.metadata.json")


def scored(made: Artefact, dataset: CocoDataset, folder: Path, files: Sequence[str], progress: Progress) -> None:
    """COCO's figures, and every detection, for the steps that compare.

    Raises:
        NonFiniteError: the model gives NaN or infinity; names the photo.
        DetrtError: see `evaluate`.
    """
    model = folder / made.file
    digest = sha256_of_model(model)
    journal = folder / "measured" / f".{made.precision}.{made.form}.{dataset.fingerprint()[:12]}.jsonl"
    with Detector.open(model) as detector:
        done = evaluate(detector, dataset, journal=journal, model_hash=digest, resume=True, progress=progress)
        runtime, device = detector.runtime.name, detector.runtime.device
    names = {int(image["id"]): str(image["file_name"]) for image in dataset.annotations["images"]}
    save_found(folder / made.detections, done.found, names)
    content = {
        "figures": done.scores.figures,
        "by_class": done.scores.by_class,
        "photos": len(dataset.photos),
        "runtime": runtime,
        "device": device,
    }
    save_json(folder / made.scores, content)


def timed(output: str, images: Path, seconds: float, folder: Path, files: Sequence[str], progress: Progress) -> None:
    """Time of every model of `files`, taking turns: on the device alone, from pixels, from JPEG bytes.

    Raises:
        DetrtError: none of them can be timed.
        KeyboardInterrupt: somebody stopped it: `benchmark` tells what it has by then, which is no finished step.
    """
    cases = cases_of([str(folder / file) for file in files], protocols=PROTOCOLS)
    pace = Pace(seconds, warm_up=min(5.0, 2 * seconds))
    report = benchmark(cases, photos=images, pace=pace, progress=progress)
    if not report.complete:
        raise KeyboardInterrupt
    report.save(folder / output)


def compared(made: Artefact, folder: Path, files: Sequence[str], progress: Progress) -> None:
    """What the model finds otherwise than the reference, over all photos that were scored."""
    reference, other = (load_found(folder / each.detections) for each in (REFERENCE, made))
    comparing = Comparing()
    for number, (name, found) in enumerate(reference.items(), start=1):
        comparing.add(name, found, other[name])
        progress("photos", number, len(reference))
    done = comparing.result()
    save_json(
        folder / made.comparison,
        {"verdict": done.verdict, "reason": done.reason, "agreement": done.agreement, **asdict(done)},
    )


def explained(made: Artefact, photos: Sequence[Path], folder: Path, files: Sequence[str], progress: Progress) -> None:
    """Where the tensors of a quantised model part from the float model's, as ONNX Runtime computes both.

    Raises:
        GraphError: they have no tensor in common.
    """
    first, second = folder / artefact.MODEL, folder / made.file
    with Detector.open(first, device="cpu") as one, Detector.open(second, device="cpu") as other:
        walked = compare_layers_of((first, one), (second, other), photos, device="cpu", progress=progress)
    content = {
        "tensors": len(walked.tensors),
        "first": _drift(walked.first) if walked.first else None,
        "worst": [_drift(tensor) for tensor in walked.worst(WORST_TENSORS)],
    }
    save_json(folder / artefact.explanation(made.precision), content)


def profiled(made: Artefact, folder: Path, files: Sequence[str], progress: Progress) -> None:
    """An engine's layers and their times, as raw JSON.

    Raises:
        EngineError: it cannot run here.
    """
    profile_engine(folder / made.file, runs=PROFILED_RUNS, save=folder / made.profile, progress=progress)


def _drift(tensor: TensorDrift) -> dict[str, Any]:
    return {"name": tensor.name, "size": tensor.drift.size, "own": tensor.own, "looks_like": tensor.drift.looks_like}
