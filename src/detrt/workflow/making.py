"""The steps that make models: export, calibration photos, quantisation, engines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from detrt.contract import ModelContract
from detrt.detector import contract_of
from detrt.engine.builder import build_engine
from detrt.engine.options import Batch, BuildOptions
from detrt.errors import ModelError
from detrt.extras import require
from detrt.files import sha256_of, whole
from detrt.graph import onnx_file
from detrt.images.read import read_photo
from detrt.progress import Progress
from detrt.quantize.calibration import calibration_set
from detrt.quantize.recipe import Recipe
from detrt.quantize.run import quantize
from detrt.quantize.workbench import open_workbench
from detrt.runtime.onnxruntime import OnnxRuntime
from detrt.workflow import artefact
from detrt.workflow.artefact import Artefact
from detrt.workflow.options import NARROW, Precision, WorkflowOptions

KEPT_PHOTOS = 32
"""Calibration photos that travel with the output folder: what FP16 needs to see (engine.calibration.MOST_PHOTOS)."""


def export(source: Path, overrides: Mapping[str, Any], folder: Path, files: Sequence[str], progress: Progress) -> None:
    """An ONNX file with its contract inside, of a checkpoint or of an ONNX file.

    Raises:
        ModelError: see `Detector.open` and `export_checkpoint`.
        MissingExtraError: a checkpoint, and no PyTorch.
    """
    target = folder / artefact.MODEL
    if source.suffix == ".onnx":
        with OnnxRuntime(source, device="cpu") as runtime:
            contract = contract_of(runtime, overrides)
        onnx_file.save(onnx_file.with_contract(onnx_file.load(source), contract), target)
        return
    require("torch", extra="torch", purpose="Exporting a checkpoint")
    from detrt.graph.export import ExportOptions
    from detrt.graph.export_file import export_checkpoint

    export_checkpoint(source, target, ExportOptions(batch=None), progress=progress)


def keep_photos(options: WorkflowOptions, folder: Path, files: Sequence[str], progress: Progress) -> None:
    """Small copies of some calibration photos and of no others, so that engines can be built on a machine without any.

    Raises:
        ImageError, UsageError: there are no photos.
    """
    contract = contract_in(folder)
    chosen = calibration_set(options.calib, contract, limit=options.photos).first(KEPT_PHOTOS)
    target = (folder / artefact.PHOTOS).parent
    kept: dict[str, str] = {}
    for number, photo in enumerate(chosen):
        copy = target / f"{number:02d}.jpg"
        picture = Image.fromarray(read_photo(photo.path))
        picture.thumbnail((2 * max(contract.input_size),) * 2)
        with whole(copy) as part:
            picture.save(part, format="JPEG", quality=92)
        kept[copy.name] = sha256_of(copy)
        progress("photos", number + 1, len(chosen))
    for other in target.glob("*.jpg"):
        if other.name not in kept:  # of an earlier run with more photos; engines are calibrated on all that lie here
            other.unlink()
    with whole(folder / artefact.PHOTOS) as part:
        part.write_text(json.dumps(kept, indent=1))


def quantized(
    precision: Precision,
    recipe: Recipe,
    options: WorkflowOptions,
    folder: Path,
    files: Sequence[str],
    progress: Progress,
) -> None:
    """A quantised model, by the search of `detrt quantize`; where it was interrupted, it goes on.

    Raises:
        DetrtError: see `quantize`.
    """
    quantize(
        open_workbench(folder / artefact.MODEL, options.calib, limit=options.photos),
        folder / artefact.onnx_file(precision),
        precision="int8" if precision == "int8" else "fp8",
        recipe=recipe,
        target_drop=options.target_drop,
        budget=float("inf") if options.budget is None else 60 * options.budget,
        judge_engine=False,  # there are steps for that
        progress=progress,
    )


def build_options(precision: Precision) -> BuildOptions:
    """How the engine of a precision is built: what a quantised model leaves wide is FP16. One photo a run."""
    return BuildOptions(precision="fp16" if precision in NARROW else precision, batch=Batch(1, 1, 1))  # type: ignore[arg-type]


def is_calibrated(precision: Precision) -> bool:
    """Whether the builder of that engine looks at photos, to find what must stay FP32."""
    return build_options(precision).precision in ("fp16", "bf16")


def built(made: Artefact, folder: Path, files: Sequence[str], progress: Progress) -> None:
    """An engine.

    Raises:
        EngineError, UsageError: TensorRT cannot build it.
    """
    plain = build_options(made.precision)
    photos = (folder / artefact.PHOTOS).parent if is_calibrated(made.precision) else None
    options = BuildOptions(precision=plain.precision, batch=plain.batch, calibration=photos)
    build_engine(folder / artefact.onnx_file(made.precision), folder / made.file, options, progress=progress)


def contract_in(folder: Path) -> ModelContract:
    """The contract of the output folder's model.

    Raises:
        ModelError: it has been replaced by one that carries none.
    """
    contract = onnx_file.contract_from_onnx(onnx_file.load(folder / artefact.MODEL))
    if contract is None:
        raise ModelError(f"{folder / artefact.MODEL} carries no contract.", "Remove it, and run the workflow again.")
    return contract
