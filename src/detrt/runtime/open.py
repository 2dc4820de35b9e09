"""Open any model that detrt can run, by the suffix of its file."""

from __future__ import annotations

import os
from pathlib import Path

from detrt.errors import ModelError
from detrt.runtime.base import Runtime

SUFFIXES = {".onnx": "ONNX Runtime", ".engine": "TensorRT"}


def open_runtime(path: str | os.PathLike[str], *, device: str = "auto") -> Runtime:
    """Load the model at `path` with the runtime that its suffix calls for.

    Args:
        path: an ONNX file or a TensorRT engine.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        ModelError: no such file, one that may not be read, an unknown suffix, or a file that its runtime refuses.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelError(f"There is no model at {file}.", "Check the path; `detrt models` lists those known by name.")
    if not os.access(file, os.R_OK):  # else a runtime calls it damaged
        raise ModelError(f"{file} cannot be read: permission denied.", "Check that it may be read.")
    match file.suffix:
        case ".onnx":
            from detrt.runtime.onnxruntime import OnnxRuntime

            return OnnxRuntime(file, device=device)
        case ".engine":
            from detrt.runtime.tensorrt import TensorRTRuntime

            return TensorRTRuntime(file, device=device)
        case _:
            known = ", ".join(f"{suffix} ({runtime})" for suffix, runtime in SUFFIXES.items())
            raise ModelError(f"Nothing here runs {file.name}: '{file.suffix}' is no known suffix.", f"Known: {known}.")
