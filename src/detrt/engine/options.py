"""How an engine is built: few options, each with a default that is right for most."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from detrt.engine.flavour import FlavourName
from detrt.errors import UsageError
from detrt.graph.precision import Precision
from detrt.signature import TensorSpec

Compatibility = Literal["none", "ampere+", "same-capability"]
Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""The least, the usual (which the builder tunes for) and the greatest shape."""


@dataclass(frozen=True)
class Batch:
    """How many images a run takes: at least, usually, at most. A model with a fixed batch ignores it."""

    least: int = 1
    usual: int = 1
    most: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.usual <= self.most:
            raise UsageError(f"The batch {self} is none.", "Give it as MIN:USUAL:MAX in ascending order, from 1 up.")

    def __str__(self) -> str:
        """`8`, or `1:8:32`."""
        return f"{self.least}" if self.least == self.most else f"{self.least}:{self.usual}:{self.most}"


def batch_from_text(text: str) -> Batch:
    """`8` is 8 and nothing else; `1:32` is tuned for 32; `1:8:32` takes 1 to 32 and is tuned for 8.

    Raises:
        UsageError: the text is none of these.
    """
    if not re.fullmatch(r"\d{1,5}(:\d{1,5}){0,2}", text):
        raise UsageError(f"'{text}' is no batch.", "Give one number, MIN:MAX or MIN:USUAL:MAX, as in 1:8:32.")
    numbers = [int(part) for part in text.split(":")]
    match numbers:
        case [only]:
            return Batch(only, only, only)
        case [least, most]:
            return Batch(least, most, most)
        case _:
            return Batch(*numbers)


@dataclass(frozen=True)
class BuildOptions:
    """What `build_engine` may be told.

    Attributes:
        precision: arithmetic of the graph. `fp32` is exact FP32, `tf32` lets matrix units round its operands to 10
            bits; `fp16` and `bf16` convert the graph, but for what must stay FP32.
        flavour: which TensorRT; None takes the one that is here.
        batch: images per run, for a model whose batch is dynamic.
        size: height and width, for a model whose input size is dynamic and whose contract does not say it. Where the
            model fixes another one it is refused.
        level: builder optimisation level 0..5; None is TensorRT's own default (3).
        workspace: most bytes of scratch memory that a layer may use; None is all of the GPU's memory.
        targets: compute capabilities to build for ("8.9"), with TensorRT-RTX only; none means every one that it
            supports, from 8.0 up.
        hardware: which other GPUs a TensorRT engine shall run on.
        version_compatible: let later TensorRT versions of the same major version run it.
        refit: keep the weights exchangeable.
        detailed: keep layer details in the engine, for `detrt profile`.
        calibration: folder of photos that show which nodes must stay FP32; without it, rules that hold for any photo
            decide, and keep more.
        plugins: libraries of the plugins that the graph uses (TensorRT only).
        timing_cache: file that keeps what the builder measured, read and written.
        as_exported: build the graph as it is, without the rewrites of `graph.engine_form`.
        debug_tensors: inner tensors, by their ONNX names, that the engine can show while it runs (`compare`). They are
            no outputs, but keep TensorRT from fusing across them; `unfused` shows what is left between the layers of
            the engine as it is. They stand in no command that rebuilds the engine.
            The graph is then built as exported, which has those names.
    """

    precision: Precision = "fp16"
    flavour: FlavourName | None = None
    batch: Batch = Batch()
    size: tuple[int, int] | None = None
    level: int | None = None
    workspace: int | None = None
    targets: tuple[str, ...] = ()
    hardware: Compatibility = "none"
    version_compatible: bool = False
    refit: bool = False
    detailed: bool = True
    calibration: Path | None = None
    plugins: tuple[Path, ...] = ()
    timing_cache: Path | None = None
    as_exported: bool = False
    debug_tensors: tuple[str, ...] | Literal["unfused"] = ()

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise UsageError(f"'{self.precision}' is no precision.", f"Use one of {', '.join(get_args(Precision))}.")
        if self.flavour not in (None, *get_args(FlavourName)):
            raise UsageError(f"'{self.flavour}' is no TensorRT.", f"Use one of {', '.join(get_args(FlavourName))}.")
        if self.hardware not in get_args(Compatibility):
            raise UsageError(
                f"'{self.hardware}' is no hardware compatibility.", f"Use one of {', '.join(get_args(Compatibility))}."
            )
        if self.level is not None and not 0 <= self.level <= 5:
            raise UsageError(f"The builder optimisation level is {self.level}.", "Use 0 to 5; 3 is the default.")
        if self.workspace is not None and self.workspace < 1:
            raise UsageError(f"The workspace is {self.workspace} bytes.", "Give a size above 0.")
        for target in self.targets:
            if not re.fullmatch(r"\d{1,2}\.\d", target):
                raise UsageError(f"'{target}' is no compute capability.", "Write it as 8.9 or 12.0.")

    def to_arguments(self) -> list[str]:
        """The `detrt build` arguments that give these options; defaults are left out."""
        chosen: list[tuple[str, object]] = [("--precision", self.precision)]
        if self.flavour:
            chosen.append(("--flavour", self.flavour))
        if self.batch != Batch():
            chosen.append(("--batch", self.batch))
        if self.size:
            chosen.append(("--size", f"{self.size[0]}x{self.size[1]}"))
        if self.level is not None:
            chosen.append(("--level", self.level))
        if self.workspace is not None:
            chosen.append(("--workspace", self.workspace >> 20))
        chosen += [("--target", target) for target in self.targets]
        if self.hardware != "none":
            chosen.append(("--hardware", self.hardware))
        if self.calibration:
            chosen.append(("--calib", self.calibration))
        chosen += [("--plugin", plugin) for plugin in self.plugins]
        words = [str(word) for pair in chosen for word in pair]
        words += ["--version-compatible"] * self.version_compatible + ["--refit"] * self.refit
        return words + ["--as-exported"] * self.as_exported


def size_from_text(text: str) -> tuple[int, int]:
    """`480x640` is height 480 and width 640.

    Raises:
        UsageError: the text is no size.
    """
    if not re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", text):
        raise UsageError(f"'{text}' is no size.", "Give it as HEIGHTxWIDTH, as in 640x640.")
    height, _, width = text.partition("x")
    return int(height), int(width)


def profile_of(inputs: tuple[TensorSpec, ...], batch: Batch, size: tuple[int, int] | None) -> Mapping[str, Shapes]:
    """The shape profile of a model's inputs: axis 0 is the batch, axes 2 and 3 of a picture are height and width.

    Inputs without a dynamic axis are in it too, with their one shape.

    Raises:
        UsageError: an axis is dynamic and nobody said its size.
    """
    return {spec.name: _shapes(spec, batch, size) for spec in inputs}


def refuse_other_size(inputs: tuple[TensorSpec, ...], asked: tuple[int, int]) -> None:
    """Do not build at the model's own size where somebody asks for another one.

    Raises:
        UsageError: the model fixes a picture's height or width, and not to those.
    """
    for spec in inputs:
        fixed = spec.shape[2:] if len(spec.shape) == 4 else asked
        if any(own not in (None, wanted) for own, wanted in zip(fixed, asked, strict=True)):
            raise UsageError(
                f"The model fixes its input {spec}, which --size {asked[0]}x{asked[1]} cannot change.",
                "Leave out --size, or export the model anew at that size (`detrt export --size`).",
            )


def batch_of(profile: Mapping[str, Shapes], asked: Batch) -> Batch:
    """What a run takes: the first axis of the picture, which has four; as asked where there is no picture."""
    pictures = (Batch(*(shape[0] for shape in shapes)) for shapes in profile.values() if len(shapes[0]) == 4)
    return next(pictures, asked)


def _shapes(spec: TensorSpec, batch: Batch, size: tuple[int, int] | None) -> Shapes:
    known = dict(enumerate(spec.shape))
    if len(spec.shape) == 4 and size:
        known |= {axis: known[axis] or size[axis - 2] for axis in (2, 3)}
    open_axes = [axis for axis, extent in known.items() if extent is None and axis != 0]
    if open_axes:
        raise UsageError(
            f"The input {spec} leaves axis {', '.join(map(str, open_axes))} open.",
            "Say the picture's size: --size HEIGHTxWIDTH, or export the model with only its batch dynamic.",
        )
    axes = [extent or 0 for extent in known.values()]
    if not axes or known[0] is not None:
        return tuple(axes), tuple(axes), tuple(axes)
    return (batch.least, *axes[1:]), (batch.usual, *axes[1:]), (batch.most, *axes[1:])
