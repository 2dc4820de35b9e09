"""From a checkpoint to an ONNX file that has proved to be right."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from detrt.contract import ModelContract
from detrt.graph.agreement import Agreement, drawn_picture, require_agreement
from detrt.graph.export import ExportOptions, onnx_from_model
from detrt.graph.onnx_file import save
from detrt.images import Pixels
from detrt.models.checkpoint import class_names_of, load_model
from detrt.progress import Progress, silent

STEPS = ("reading the checkpoint", "exporting", "comparing with PyTorch")


@dataclass(frozen=True)
class Exported:
    """What was written, and how well it agrees with PyTorch."""

    path: Path
    contract: ModelContract
    nodes: int
    agreement: Agreement


def export_checkpoint(
    checkpoint: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: ExportOptions | None = None,
    *,
    variant: str | None = None,
    size: tuple[int, int] | None = None,
    photo: Pixels | None = None,
    progress: Progress = silent,
) -> Exported:
    """Load, export, compare, and only then write.

    Args:
        checkpoint: see `models.checkpoint.load_model`.
        output: the ONNX file.
        options: see `ExportOptions`.
        variant: by name; found from the weights where it is left out.
        size: height and width of the input.
        photo: what PyTorch and the export are compared on; a drawn picture where it is left out.
        progress: told of three steps.

    Raises:
        CheckpointError: the weights cannot be read or do not fit.
        GraphError: the export is not valid, or does not find what PyTorch finds.
        UsageError: a variant, size or option that makes no sense.
    """
    chosen = options or ExportOptions()
    progress(STEPS[0], 0, len(STEPS))
    model, weights = load_model(checkpoint, variant=variant, size=size)
    shape = model.variant
    contract = ModelContract(
        input_size=shape.size,
        output_form=chosen.output,
        sizes_name="orig_target_sizes" if chosen.output == "detections" else None,
        class_names=class_names_of(weights, shape.classes),
        top_k=shape.queries,
        family="rtdetrv2",
        variant=shape.name,
        source_sha256=weights.sha256,
    )
    progress(STEPS[1], 1, len(STEPS))
    exported = onnx_from_model(model, contract, chosen)
    progress(STEPS[2], 2, len(STEPS))
    agreement = require_agreement(model, exported, contract, drawn_picture() if photo is None else photo)
    save(exported, output)
    progress(STEPS[2], 3, len(STEPS))
    return Exported(Path(output), contract, len(exported.graph.node), agreement)
