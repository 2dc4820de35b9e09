"""What a workflow may be told, by the command line or by one YAML file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from detrt.errors import UsageError
from detrt.files import whole

Precision = Literal["fp32", "fp16", "bf16", "int8", "fp8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
NARROW: tuple[Precision, ...] = ("int8", "fp8")
"""Precisions that need a quantised model, rather than another arithmetic for the one there is."""

KINDS = ("quantize", "build", "score", "time", "compare", "explain", "profile")
"""Kinds of steps that may be left out."""

FILE = "workflow.yaml"


@dataclass(frozen=True)
class WorkflowOptions:
    """What to take, what to make of it, and how much to measure.

    Attributes:
        model: an ONNX file, a checkpoint, or a name that `detrt models` lists.
        calib: photos to calibrate on: folders and globs.
        annotations, images: a COCO set to judge by.
        precisions: of the engines to build and compare.
        target_drop: AP that quantisation, and the artefact that ships, may lose.
        budget: minutes after which the search of each quantisation tries no more; None lets it end by itself.
        recipe: of `detrt quantize`, by name or file.
        photos: calibration photos at most.
        limit: photos to score on, the first by id; None takes all.
        seconds: timed, for each figure.
        skip: kinds of steps to leave out.
        contract: what a foreign model does not say of itself, as KEY=VALUE.
    """

    model: str
    calib: tuple[str, ...]
    annotations: str
    images: str
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "int8", "fp8")
    target_drop: float = 0.3
    budget: float | None = None
    recipe: str = "safe"
    photos: int = 256
    limit: int | None = None
    seconds: float = 3.0
    skip: tuple[str, ...] = ()
    contract: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _known("precision", self.precisions, PRECISIONS)
        _known("kind of step", self.skip, KINDS)
        for name, value, least in (
            ("target_drop", self.target_drop, 0), ("budget", self.budget, 0), ("photos", self.photos, 1),
            ("limit", self.limit, 1), ("seconds", self.seconds, 0.01),
        ):  # fmt: skip
            if value is not None and value < least:
                raise UsageError(f"{name} is {value}.", f"Give at least {least}.")

    @property
    def narrow(self) -> tuple[Precision, ...]:
        """Those of the precisions that quantise."""
        return tuple(precision for precision in self.precisions if precision in NARROW)

    def save(self, path: Path) -> None:
        """Write as the YAML that `options_from` reads again."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in content.items()}
        with whole(path) as part:
            part.write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))


def options_from(*sources: Mapping[str, Any]) -> WorkflowOptions:
    """Options of which each source overrides those before it; None says nothing.

    Raises:
        UsageError: an unknown key, a value of the wrong kind, or something that must be told and is not.
    """
    told = {key: value for source in sources for key, value in source.items() if value is not None}
    known = {field.name: field for field in fields(WorkflowOptions)}
    for key in told:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            raise UsageError(
                f"There is no option '{key}'" + (f"; did you mean {close[0]}?" if close else "."),
                f"The options are {', '.join(known)}.",
            )
    if missing := [name for name, field in known.items() if field.default is MISSING and not told.get(name)]:
        flags = " and ".join("MODEL" if name == "model" else f"--{name}" for name in missing)
        raise UsageError(
            f"Nobody has said {flags}.", "Give it on the command line or in the file of --config; see --help."
        )
    return WorkflowOptions(**{key: _read(key, value) for key, value in told.items()})


def options_in(path: Path) -> dict[str, Any]:
    """What a YAML file says.

    Raises:
        UsageError: it cannot be read, or is no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read: {_why(error)}.", "Give a YAML file; see docs/workflow.md.") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} is no mapping of options to values.", "See docs/workflow.md.")
    return content


def _read(key: str, value: Any) -> Any:
    """A value as the option wants it: lists as tuples, one text as a list of one, or of its words."""
    if key in ("calib", "contract"):
        return (str(value),) if isinstance(value, str | Path) else tuple(map(str, _listed(key, value)))
    if key in ("precisions", "skip"):
        words = value.split(",") if isinstance(value, str) else _listed(key, value)
        return tuple(dict.fromkeys(str(word).strip() for word in words if str(word).strip()))
    if key in ("model", "annotations", "images", "recipe"):
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{key} is {value!r}.", "Give a number.")
    return int(value) if key in ("photos", "limit") else float(value)


def _why(error: Exception) -> str:
    """What is wrong with a file, in a line."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).partition("\n")[0]


def _listed(key: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise UsageError(f"{key} is {value!r}.", "Give a text or a list of texts.")
    return list(value)


def _known(what: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    for word in given:
        if word not in known:
            close = difflib.get_close_matches(word, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else "."
            raise UsageError(f"There is no {what} '{word}'{hint}", f"Use {', '.join(known)}.")
    if what == "precision" and not given:
        raise UsageError("No precision is asked for.", f"Give some of {', '.join(known)}.")
