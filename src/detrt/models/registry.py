"""Published models by name, and the one place where a name or a path becomes a file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml

from detrt import settings
from detrt.errors import ModelError
from detrt.files import sha256_of

CHECKPOINTS = (".pth", ".pt", ".ckpt", ".safetensors")
"""Suffixes of files with weights and no graph."""

COCO_SET = "COCO val2017"

Kind = Literal["onnx", "checkpoint"]
Place = Literal["here", "cached", "built in", "not here"]


@dataclass(frozen=True)
class Source:
    """Where a file may be had.

    Attributes:
        url: the address.
        found: where that address, and the hash, were found.
        sha256, size: of the bytes there; None where nobody published them.
    """

    url: str
    found: str
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class PublishedModel:
    """A model that others trained and published.

    Attributes:
        name: what it is called here.
        file: what its file is called, wherever it lies.
        input_size: height, width in pixels.
        ap: AP in percent as its authors state it, and where they do.
        ap_on: the set that it is of.
        sha256, size: of the file that detrt was tested with; None where it was tested with none.
        sources: in the order in which they are tried.
    """

    name: str
    file: str
    kind: Kind
    family: str
    variant: str
    input_size: tuple[int, int]
    licence: str
    ap: float
    ap_source: str
    sources: tuple[Source, ...]
    sha256: str | None = None
    size: int | None = None
    notes: str = ""
    ap_on: str = COCO_SET

    @property
    def known_sha256(self) -> frozenset[str]:
        """Every hash that a right copy of the file may have; empty where none is known."""
        return frozenset(digest for digest in (self.sha256, *(s.sha256 for s in self.sources)) if digest)

    @property
    def known_size(self) -> int | None:
        """Bytes to expect; None where nobody published them."""
        return next((size for size in (self.size, *(s.size for s in self.sources)) if size), None)


@cache
def registry() -> Mapping[str, PublishedModel]:
    """The models that this version knows, by name, in the order of the file."""
    return registry_from_yaml(resources.files("detrt.models").joinpath("registry.yaml").read_text("utf-8"))


def registry_from_yaml(text: str) -> dict[str, PublishedModel]:
    """Read a registry.

    Raises:
        ValueError: an unknown or missing key, a kind that is none, a name given twice. The registry is ours, so this
            is a fault of the package and not of its user.
    """
    models: dict[str, PublishedModel] = {}
    for entry in yaml.safe_load(text)["models"]:
        sources = tuple(_read(Source, source) for source in entry.get("sources", ()))
        model = _read(PublishedModel, entry | {"sources": sources, "input_size": tuple(entry.get("input_size", ()))})
        if model.kind not in get_args(Kind):
            raise ValueError(f"{model.name}: '{model.kind}' is no kind; use one of {', '.join(get_args(Kind))}.")
        if model.name in models:
            raise ValueError(f"{model.name} is there twice.")
        models[model.name] = model
    return models


def model_of_name(name: str) -> PublishedModel:
    """The model of that name, or whose file is called so.

    Raises:
        ModelError: nobody here knows it; says what comes near.
    """
    known = registry()
    for model in known.values():
        if name in (model.name, model.file):
            return model
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    raise ModelError(
        f"No published model is called '{name}' here.",
        f"Did you mean {' or '.join(near)}?" if near else f"The names are {', '.join(known)}.",
    )


def cache_folder() -> Path:
    """Where pulled models are kept."""
    return settings.cache_dir() / "models"


def embedded_folder() -> Path:
    """Models that are part of this package."""
    return Path(__file__).parent / "embedded"


def search_folders() -> tuple[Path, ...]:
    """Where models are looked for: the folders of `DETRT_MODELS`, then the cache, then what is built in."""
    return (*settings.model_dirs(), cache_folder(), embedded_folder())


def find(model: PublishedModel, folders: Sequence[Path] | None = None) -> Path | None:
    """The model's file in one of the folders; one whose content is another's is passed over."""
    return next((path for path in _candidates(model.file, folders) if is_right(model, path)), None)


def place(model: PublishedModel) -> Place:
    """Whether the model lies in a folder of `DETRT_MODELS`, in the cache, in the package, or nowhere."""
    path = find(model)
    if path is None:
        return "not here"
    if path.parent == embedded_folder():
        return "built in"
    return "cached" if path.parent == cache_folder() else "here"


def is_right(model: PublishedModel, path: Path) -> bool:
    """Whether the file has a hash that is known for the model, or the one that it had when it was pulled."""
    expected = model.known_sha256 | {_pulled_sha256(path)} - {""}
    return not expected or sha256_of(path) in expected


def pulled_record(path: Path) -> Path:
    """The small file beside a pulled model that keeps the hash that it came with."""
    return path.with_name(path.name + ".sha256")


def resolve_model(text: str, folders: Sequence[Path] | None = None) -> Path:
    """The file that a person means by `text`: a path, a name of the registry, or a file in a search folder.

    Args:
        text: what was typed.
        folders: where to look; `search_folders()` where it is None.

    Raises:
        ModelError: there is none; says how to pull a known one, or what comes near.
    """
    path = Path(text).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise ModelError(f"{text} is a folder, not a model.", "Name the model's file, or a model of `detrt models`.")
    model = registry().get(text) or next((model for model in registry().values() if model.file == text), None)
    if model is not None:
        return _found(model, folders)
    if path.name == text and (files := _candidates(text, folders)):
        return files[0]
    raise ModelError(f"There is no model '{text}': neither a file nor a name of the registry.", _nearby(path, folders))


def _found(model: PublishedModel, folders: Sequence[Path] | None) -> Path:
    if path := find(model, folders):
        return path
    pull = f"Fetch it with: detrt models pull {model.name}"
    if others := _candidates(model.file, folders):
        raise ModelError(
            f"{others[0]} has the name of {model.name}, but not its content (SHA-256 {sha256_of(others[0])[:16]}...).",
            f"{pull}; or give the path itself to use that file as it is.",
        )
    raise ModelError(f"The model {model.name} is known, but {model.file} is not on this machine.", f"{pull}.")


def _candidates(name: str, folders: Sequence[Path] | None) -> list[Path]:
    places = search_folders() if folders is None else folders
    return [folder / name for folder in places if (folder / name).is_file()]


def _nearby(path: Path, folders: Sequence[Path] | None) -> str:
    """The remedy for a model that is not there: what its name may have been meant to be."""
    places = [path.parent, *(search_folders() if folders is None else folders)]
    beside = {str(file.relative_to(place)): file for place in places for file in _models_in(place)}
    near = difflib.get_close_matches(path.name, [*registry(), *beside], n=3, cutoff=0.5)
    named = [name if name in registry() else str(beside[name]) for name in near]
    hint = "`detrt models` lists the known names."
    return f"Did you mean {' or '.join(named)}? {hint[0].upper()}{hint[1:]}" if named else f"Check the path; {hint}"


def _models_in(folder: Path) -> Iterable[Path]:
    try:
        return [file for file in folder.iterdir() if file.suffix in (".onnx", ".engine", *CHECKPOINTS)]
    except OSError:
        return []


def _pulled_sha256(path: Path) -> str:
    try:
        return pulled_record(path).read_text("ascii").split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        return ""


T = TypeVar("T")


def _read(kind: type[T], values: Mapping[str, Any]) -> T:
    """A dataclass from a mapping that must have its keys and no others."""
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    name = values.get("name") or values.get("url") or kind.__name__
    if unknown := set(values) - set(known):
        raise ValueError(f"{name}: unknown {', '.join(sorted(unknown))}; known are {', '.join(known)}.")
    if missing := [key for key, field in known.items() if field.default is MISSING and key not in values]:
        raise ValueError(f"{name}: {', '.join(missing)} missing.")
    return kind(**values)
