"""What an engine is and needs, as JSON beside it: `model.engine` has `model.engine.json`."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from detrt.contract import ModelContract, contract_from_metadata
from detrt.engine.flavour import TITLES, FlavourName, version_tuple
from detrt.errors import EngineError
from detrt.files import whole
from detrt.signature import TensorSpec

FORMAT = 1  # raised when an old reader would misread a new manifest
OLDEST_PORTABLE = "8.0"


@dataclass(frozen=True)
class PluginLibrary:
    """A library that must be loaded before the engine. The path is relative to the engine's folder where it can be."""

    path: str
    sha256: str


@dataclass(frozen=True)
class EngineManifest:
    """The engine's papers.

    Attributes:
        flavour, version: the TensorRT that built it, and the only one that can run it (but for `version_compatible`).
        platform: operating system and processor, `linux-x86_64`.
        compute_capabilities: GPUs it was built for; empty for a TensorRT-RTX engine for every GPU that it supports.
        hardware: `none`, `ampere+` or `same-capability`: which other GPUs may run it.
        gpu: name of the GPU that it was built on; empty where there was none.
        precision: what was asked for. precision_note: how many nodes stayed FP32, for people.
        batch: (least, usual, most) images per run.
        profile: input name to its least, usual and greatest shape.
        inputs, outputs: what it takes and returns; a dynamic axis is None.
        metadata: the ONNX file's own, with the contract in it.
        onnx: name of the ONNX file. onnx_sha256: hash of that file, before the precision was put in.
        arguments: of `detrt build`, without the files.
        fingerprint: hash of everything that the build depends on; the same means up to date.
        layers: of the network as parsed (`network`), and of the engine (`engine`), where a GPU was there to see it.
        engine_sha256, engine_bytes: of the engine that this manifest belongs to.
        rewrites: what `graph.engine_form` rewrote in the graph, for people.
    """

    flavour: FlavourName
    version: str
    platform: str
    compute_capabilities: tuple[str, ...]
    hardware: str
    version_compatible: bool
    gpu: str
    precision: str
    precision_note: str
    batch: tuple[int, int, int]
    profile: Mapping[str, tuple[tuple[int, ...], ...]]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: Mapping[str, str]
    plugins: tuple[PluginLibrary, ...]
    onnx: str
    onnx_sha256: str
    arguments: tuple[str, ...]
    fingerprint: str
    layers: Mapping[str, int]
    detrt: str
    engine_sha256: str
    engine_bytes: int
    rewrites: tuple[str, ...] = ()

    @property
    def contract(self) -> ModelContract | None:
        """The contract that the ONNX carried; None where it carried none."""
        return contract_from_metadata(self.metadata)

    @property
    def needs(self) -> str:
        """What the engine needs, for people: `TensorRT-RTX 1.6.1.120 on linux-x86_64, compute capability 8.0+`."""
        return f"{TITLES[self.flavour]} {self.version} on {self.platform}, compute capability {self.capability}"

    @property
    def oldest_capability(self) -> str | None:
        """The oldest GPU that runs it, where later ones do too; None where only those that it was built for do.

        That is 8.0 for a TensorRT-RTX engine without targets and for an `ampere+` engine (NVIDIA's TensorRT-RTX guide,
        "CPU-Only AOT"). With targets it is the oldest of them: 1.6.1 runs engines for 8.0, 8.6 and 8.9 on an H100.
        """
        if self.hardware == "ampere+":
            return OLDEST_PORTABLE
        if self.flavour == "tensorrt_rtx":
            return min(self.compute_capabilities, key=version_tuple, default=OLDEST_PORTABLE)
        return None

    @property
    def capability(self) -> str:
        """The GPUs that it runs on, for people: `8.0 or later`, `8.9`."""
        oldest = self.oldest_capability
        return f"{oldest} or later" if oldest else " or ".join(self.compute_capabilities)

    def rebuild_command(self, engine: Path) -> str:
        """The command that makes this engine anew, on the machine where it is run."""
        return shlex.join(["detrt", "build", self.onnx, "-o", str(engine), *self.arguments])

    def save(self, engine: Path) -> None:
        """Write the manifest beside its engine."""
        with whole(manifest_path(engine)) as part:
            text = json.dumps({"format": FORMAT} | asdict(self), indent=2, ensure_ascii=False)
            part.write_text(text + "\n", encoding="utf-8")


def manifest_path(engine: str | os.PathLike[str]) -> Path:
    """`model.engine` -> `model.engine.json`."""
    return Path(f"{os.fspath(engine)}.json")


def cache_path(engine: str | os.PathLike[str]) -> Path:
    """`model.engine` -> `model.engine.cache`, where TensorRT-RTX keeps what it compiled for this GPU."""
    return Path(f"{os.fspath(engine)}.cache")


def manifest_of(engine: str | os.PathLike[str]) -> EngineManifest:
    """Read the manifest beside an engine.

    Raises:
        EngineError: there is none, it cannot be read, or it is of a newer format.
    """
    path = manifest_path(engine)
    name = Path(engine).name
    rebuild = f"Build the engine again: detrt build MODEL.onnx -o {name}"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise EngineError(
            f"{name} has no manifest: {path.name} is not beside it, so what the engine needs is unknown.",
            f"Copy the manifest together with the engine. If there never was one: {rebuild}",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"The manifest {path} cannot be read: {error}.", rebuild) from error
    try:
        values = json.loads(text)
        found = values.pop("format")
        if found != FORMAT:
            raise EngineError(
                f"The manifest {path} has format {found}; this detrt reads format {FORMAT}.",
                f"Update detrt (pip install -U detrt). Or: {rebuild}",
            )
        return _from_json(values)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise EngineError(f"The manifest {path} is damaged: {type(error).__name__}: {error}.", rebuild) from error


def _from_json(values: dict[str, Any]) -> EngineManifest:
    known = {field.name for field in fields(EngineManifest)}
    manifest = {name: value for name, value in values.items() if name in known}
    if manifest["flavour"] not in TITLES:
        raise ValueError(f"'{manifest['flavour']}' is no TensorRT")
    for name in ("inputs", "outputs"):
        manifest[name] = tuple(TensorSpec(one["name"], tuple(one["shape"]), one["dtype"]) for one in manifest[name])
    manifest["plugins"] = tuple(PluginLibrary(**one) for one in manifest["plugins"])
    manifest["profile"] = {
        name: tuple(tuple(int(axis) for axis in shape) for shape in shapes)
        for name, shapes in manifest["profile"].items()
    }
    for name in ("compute_capabilities", "batch", "arguments"):
        manifest[name] = tuple(manifest[name])
    manifest["rewrites"] = tuple(manifest.get("rewrites", ()))
    _require_texts(manifest)
    return EngineManifest(**manifest)


def _require_texts(manifest: Mapping[str, Any]) -> None:
    """Raise `TypeError` where something is no text that will be taken for one."""
    for field in fields(EngineManifest):
        value = manifest.get(field.name, ())
        parts: tuple[object, ...] = ()
        match field.type:
            case "str":
                parts = (value,)
            case "tuple[str, ...]":
                parts = tuple(value)
            case "Mapping[str, str]":
                parts = (*value.keys(), *value.values())
        if not all(isinstance(part, str) for part in parts):
            raise TypeError(f"{field.name} is {value!r}")
