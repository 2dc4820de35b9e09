"""Options that several commands share, and how their text is read."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from detrt.contract import ResizeRule
from detrt.errors import UsageError
from detrt.extras import require
from detrt.files import refuse_output

Model = Annotated[str, typer.Argument(help="An ONNX file, an engine, or a name that `detrt models` lists.")]
ANY_MODEL = "An ONNX file, an engine, a checkpoint, or a name that `detrt models` lists."
AnyModel = Annotated[str, typer.Argument(help=ANY_MODEL)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
BatchSize = Annotated[int, typer.Option("--batch", min=1, max=1024, help="Photos a run of the network.")]
Contract = Annotated[
    list[str] | None,
    typer.Option(
        "--contract",
        metavar="KEY=VALUE",
        help="Say what a foreign model does not: size=HxW, resize=stretch|letterbox, antialias=yes|no, pad=0..255, "
        "color=RGB|BGR, scale=X, mean=R,G,B, std=R,G,B, names=FILE. May be repeated.",
    ),
]
DRAWN = (".png", ".svg", ".pdf")
Plot = Annotated[Path | None, typer.Option(metavar="FILE", help=f"Draw it: {' or '.join(DRAWN)}.")]


def contract_overrides(pairs: Sequence[str] | None) -> dict[str, Any]:
    """Fields of `ModelContract` from `KEY=VALUE` texts.

    Raises:
        UsageError: an unknown key or a value that cannot be read.
    """
    fields: dict[str, Any] = {}
    rule: dict[str, Any] = {}
    for pair in pairs or ():
        key, separator, value = pair.partition("=")
        if not separator or key not in _READERS:
            close = difflib.get_close_matches(key, _READERS, n=1)
            raise UsageError(
                f"--contract {pair} is not KEY=VALUE with a known key"
                + (f"; did you mean {close[0]}?" if close else "."),
                f"The keys are {', '.join(_READERS)}.",
            )
        name, read = _READERS[key]
        try:
            (rule if key in _RULE_KEYS else fields)[name] = read(value)
        except (ValueError, OSError) as error:
            raise UsageError(f"--contract {pair} cannot be read: {error}.", "See `detrt predict --help`.") from error
    return fields | ({"resize": ResizeRule(**rule)} if rule else {})


def refuse_plot(path: Path | None, *, inputs: Sequence[str | Path | None]) -> None:
    """Fail before the work whose picture could not be drawn, or not to `path`; see `refuse_output`.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: another suffix, or one of `inputs`.
    """
    if path:
        require("matplotlib", extra="plot", purpose="Drawing")
        refuse_output(path, inputs=inputs, suffixes=DRAWN)


def class_labels(text: str | None, class_names: Sequence[str]) -> list[int] | None:
    """Labels from `person,dog` or `0,16`; None where no text is given.

    Raises:
        UsageError: a class that the model does not have, or none at all.
    """
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError(f"--classes '{text}' names no class.", "Name some: --classes person,dog")
    return [_label(name, class_names) for name in names]


def _label(name: str, class_names: Sequence[str]) -> int:
    if name in class_names:
        return class_names.index(name)
    if name.isdecimal() and (not class_names or int(name) < len(class_names)):
        return int(name)
    close = difflib.get_close_matches(name, class_names, n=3)
    raise UsageError(
        f"The model has no class '{name}'" + (f"; did you mean {' or '.join(close)}?" if close else "."),
        f"It has {len(class_names)}: {', '.join(class_names)}." if class_names else "It has no names; give labels.",
    )


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    return int(height), int(width or height)


def _three(text: str) -> tuple[float, ...]:
    values = tuple(float(value) for value in text.split(","))
    if len(values) != 3:
        raise ValueError(f"{len(values)} numbers, not three")
    return values


def _yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(f"'{text}' is neither yes nor no")
    return text == "yes"


def _names(text: str) -> tuple[str, ...]:
    names = [line.strip() for line in Path(text).read_text(encoding="utf-8-sig").rstrip().splitlines()]
    if "" in names:
        raise ValueError(f"line {names.index('') + 1} is blank, and each line is a label's name")
    return tuple(names)


_READERS: dict[str, tuple[str, Any]] = {
    "size": ("input_size", _size),
    "resize": ("mode", str),
    "antialias": ("antialias", _yes),
    "pad": ("pad", int),
    "color": ("color", str),
    "scale": ("scale", float),
    "mean": ("mean", _three),
    "std": ("std", _three),
    "names": ("class_names", _names),
}
_RULE_KEYS = ("resize", "antialias", "pad")
