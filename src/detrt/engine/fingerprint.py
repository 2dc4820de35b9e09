"""Whether an engine is up to date: one hash of everything that its build depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from detrt import __version__
from detrt.engine.flavour import Flavour
from detrt.engine.manifest import EngineManifest, PluginLibrary, manifest_of
from detrt.engine.options import BuildOptions
from detrt.errors import EngineError
from detrt.files import sha256_of
from detrt.runtime.gpu import Gpu


def fingerprint(
    onnx_sha256: str, options: BuildOptions, plugins: Sequence[PluginLibrary], flavour: Flavour, gpu: Gpu | None
) -> str:
    """Hash of the model, the options, the photos' names and sizes, and what builds.

    The GPU counts for TensorRT, which tunes for the one that it builds on; TensorRT-RTX does not look at it. The
    timing cache does not count: it changes how long the build takes.
    """
    settings = asdict(options) | {"timing_cache": None, "plugins": [plugin.sha256 for plugin in plugins]}
    photos = [(path.name, path.stat().st_size) for path in calibration_photos(options.calibration)]
    built_by = {
        "detrt": __version__,
        "flavour": str(flavour),
        "gpu": None if gpu is None or flavour.is_rtx else [gpu.name, gpu.capability],
    }
    told = {"onnx": onnx_sha256, "options": settings, "photos": photos, "built by": built_by}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def up_to_date(engine: Path, expected: str) -> EngineManifest | None:
    """The manifest of the engine that is there, if it is whole and has that fingerprint; else None."""
    if not engine.is_file():
        return None
    try:
        manifest = manifest_of(engine)
    except EngineError:
        return None
    same = manifest.fingerprint == expected and engine.stat().st_size == manifest.engine_bytes
    return manifest if same and sha256_of(engine) == manifest.engine_sha256 else None


def calibration_photos(folder: Path | None) -> list[Path]:
    """The photos of a folder, in the order of their names; none where there is no folder."""
    from detrt.images.sources import find_files

    return find_files([str(folder)]) if folder else []
