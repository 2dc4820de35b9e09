"""Checkpoints where a command runs a model: exported once, and kept in the cache."""

from __future__ import annotations

from pathlib import Path

from detrt.cli.console import progress_bars
from detrt.models.registry import CHECKPOINTS


def runnable(model: Path, *, purpose: str) -> Path:
    """The ONNX export of a checkpoint, with a free batch; any other file as it is.

    Args:
        model: what the user named: a checkpoint's file or Hugging Face's folder, or a file for some runtime.
        purpose: what the command is about to do, to say so where PyTorch is missing for the export.

    Raises:
        MissingExtraError: PyTorch is not installed.
        CheckpointError, GraphError: see `export_checkpoint`.
    """
    if model.suffix not in CHECKPOINTS and not model.is_dir():
        return model
    from detrt.extras import require
    from detrt.files import sha256_of
    from detrt.settings import cache_dir

    weights = next(iter(sorted(model.glob("*.safetensors"))), None) if model.is_dir() else model
    exported = cache_dir() / "export" / f"{sha256_of(weights)[:24] if weights else 'none'}.onnx"
    if not exported.is_file():
        require("torch", extra="torch", purpose=purpose)
        from detrt.graph.export import ExportOptions
        from detrt.graph.export_file import export_checkpoint

        with progress_bars() as progress:
            export_checkpoint(model, exported, ExportOptions(batch=None), progress=progress)
    return exported
