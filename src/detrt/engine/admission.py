"""May this engine run here? Answered before TensorRT sees a byte of it, whose reader trusts what it is given."""

from __future__ import annotations

import hashlib
from pathlib import Path

from detrt.engine.flavour import TITLES, Flavour, load, version_tuple
from detrt.engine.manifest import EngineManifest
from detrt.engine.platform import here
from detrt.errors import EngineError
from detrt.runtime import cuda
from detrt.runtime.gpu import Gpu


def whole_engine(path: Path, manifest: EngineManifest) -> bytes:
    """The engine's bytes, if they are those that the manifest describes.

    Raises:
        EngineError: the file is cut off, damaged, or another engine than the manifest's.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EngineError(
            f"The engine {path} cannot be read: {error}.", "Check the path and its permissions."
        ) from error
    if len(data) != manifest.engine_bytes:
        problem = f"{path} has {len(data):,} bytes, but its manifest says {manifest.engine_bytes:,}"
    elif hashlib.sha256(data).hexdigest() != manifest.engine_sha256:
        problem = f"{path} is not the engine that its manifest describes: their SHA-256 differ"
    else:
        return data
    raise EngineError(
        f"{problem}. It was cut off, damaged, or mixed up with another file.",
        f"Copy both files again, or build the engine again: {manifest.rebuild_command(path)}",
    )


def matching_flavour(manifest: EngineManifest, path: Path) -> Flavour:
    """The TensorRT that can read the engine.

    Raises:
        EngineError: it is not installed here, has another version, or the engine is for another platform.
    """
    if manifest.platform != here():
        raise _elsewhere(manifest, path, f"this is {here()}")
    try:
        flavour = load(manifest.flavour)
    except ImportError as error:
        extra = "rtx" if manifest.flavour == "tensorrt_rtx" else "trt"
        raise EngineError(
            f"{path.name} needs {manifest.needs}, but {manifest.flavour} cannot be imported here ({error}).",
            f"Install it: pip install 'detrt[{extra}]' {manifest.flavour.replace('_', '-')}=={manifest.version}. "
            f"Or build for what is here: {manifest.rebuild_command(path)}",
        ) from error
    built, found = version_tuple(manifest.version), version_tuple(flavour.version)
    later_is_fine = manifest.version_compatible and built[:1] == found[:1] and built <= found
    if built != found and not later_is_fine:
        raise _elsewhere(manifest, path, f"{TITLES[flavour.name]} here is {flavour.version}")
    return flavour


def fitting_gpu(manifest: EngineManifest, path: Path, device: str) -> cuda.CudaGpu:
    """The GPU that `device` names, if the engine was built for its like.

    Raises:
        ModelError: `device` is no GPU's name.
        EngineError: there is no such GPU; or names the compute capability that the engine needs and the one here.
    """
    try:
        gpu = cuda.gpu(device)
    except EngineError as error:
        raise EngineError(
            f"{path.name} needs {manifest.needs}. {error.problem}",
            "Run it on a machine with such a GPU, or run the ONNX model, on the CPU.",
        ) from error
    refuse_foreign_gpu(manifest, path, gpu)
    return gpu


def refuse_foreign_gpu(manifest: EngineManifest, path: Path, gpu: Gpu) -> None:
    """Raise an EngineError if the engine was not built for this GPU."""
    oldest = manifest.oldest_capability
    if oldest is None:
        fits = gpu.capability in manifest.compute_capabilities
    else:
        fits = version_tuple(gpu.capability) >= version_tuple(oldest)
    if not fits:
        raise _elsewhere(manifest, path, f"the GPU here is {gpu.name} with compute capability {gpu.capability}")


def _elsewhere(manifest: EngineManifest, path: Path, found: str) -> EngineError:
    return EngineError(
        f"{path.name} needs {manifest.needs}, but {found}.",
        f"Build it for this machine: {manifest.rebuild_command(path)}",
    )
