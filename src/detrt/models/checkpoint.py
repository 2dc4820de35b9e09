"""RT-DETRv2 from published weights: official `.pth` files and Hugging Face folders."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from detrt.coco_names import COCO_NAMES
from detrt.errors import CheckpointError
from detrt.files import sha256_of
from detrt.models.huggingface import folder_contents
from detrt.models.rtdetrv2 import RTDETRv2
from detrt.models.variants import VARIANTS, Variant, variant_named

State = Mapping[str, Tensor]
Shapes = Mapping[str, tuple[int, ...]]

LISTED = 8  # names of a kind that an error prints

# Not learnt: made by the model, for its own input size, or counters that only training reads.
_MADE = ("decoder.anchors", "decoder.valid_mask", ".num_points_scale", ".num_batches_tracked")

_PICKLED = (b"PK\x03\x04", b"\x80")
"""A zip archive, as PyTorch writes since 1.6, or a pickle of protocol 2 or later, as before."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights under their official names, and what is known of them.

    Attributes:
        state: by parameter name.
        source: the file they came from.
        sha256: of that file.
        class_names: by label; empty where the checkpoint does not say.
        discrete: whether it says that sampling is discrete; None where it does not say. No weight tells.
    """

    state: State
    source: Path
    sha256: str
    class_names: tuple[str, ...] = ()
    discrete: bool | None = None


def load_model(
    path: str | os.PathLike[str], *, variant: str | None = None, size: tuple[int, int] | None = None
) -> tuple[RTDETRv2, Checkpoint]:
    """The model that a checkpoint holds, on the CPU, in evaluation mode.

    Args:
        path: an official `.pth`, a Hugging Face folder, or a `.safetensors` file in one.
        variant: by name; found from the shapes of the weights where it is left out.
        size: height and width of the input; that of the variant where it is left out.

    Raises:
        CheckpointError: unreadable, of unknown make, or not of the variant; lists what does not fit.
        UsageError: there is no such variant, or it cannot take that size.
    """
    checkpoint = read_checkpoint(path)
    chosen = with_classes(variant_named(variant), checkpoint.state) if variant else fitting_variant(checkpoint)
    return model_from_checkpoint(checkpoint, chosen.sized(size or chosen.size)), checkpoint


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read weights; nothing in the file is run.

    Raises:
        CheckpointError: see `load_model`.
    """
    place = Path(path)
    if place.is_dir() or place.suffix == ".safetensors":
        contents = folder_contents(place)
        digest = sha256_of(contents.weights)
        return Checkpoint(contents.state, contents.weights, digest, contents.class_names, contents.discrete)
    if not place.is_file():
        raise CheckpointError(f"There is no checkpoint at {place}.", "Check the path; `detrt models` lists known ones.")
    content = _content_of_pth(place)
    return Checkpoint(_state_in(content, place), place, sha256_of(place), _names_in(content))


def model_from_checkpoint(checkpoint: Checkpoint, variant: Variant) -> RTDETRv2:
    """A model of `variant` with the checkpoint's weights.

    Raises:
        CheckpointError: weights are missing, too many, or of another shape.
    """
    model = RTDETRv2(variant)
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given = {name: value for name, value in checkpoint.state.items() if _counts(name)}
    problems = mismatches(expected={name: shape for name, shape in own.items() if _counts(name)}, given=_shapes(given))
    if problems:
        fits = [other.name for other in VARIANTS.values() if not _misfit(other, checkpoint.state)]
        raise CheckpointError(
            f"{checkpoint.source} does not hold the weights of {variant.name}: {'; '.join(problems)}.",
            f"They fit {' and '.join(fits)}: use --variant {fits[0]}."
            if fits
            else f"They fit none of {', '.join(VARIANTS)}; only RT-DETRv2 with a ResNet backbone can be loaded.",
        )
    broken = [name for name, value in given.items() if not value.isfinite().all()]
    if broken:
        raise CheckpointError(
            f"{checkpoint.source} holds NaN or infinity in {_listed(broken)}.", "Use a checkpoint from before that."
        )
    model.load_state_dict(given, strict=False)
    return model


def fitting_variant(checkpoint: Checkpoint) -> Variant:
    """The variant whose weights have these names and shapes, with the checkpoint's number of classes.

    Discrete sampling leaves no trace in the weights: it is taken from what the checkpoint says, or from `dsp` in its
    file's name, which is how the official ones are called.

    Raises:
        CheckpointError: no variant fits; says which comes nearest.
    """
    discrete = checkpoint.discrete
    if discrete is None:
        discrete = "dsp" in checkpoint.source.name
    candidates = [variant for variant in VARIANTS.values() if (variant.sampling == "discrete") == discrete]
    problems = {variant.name: _misfit(variant, checkpoint.state) for variant in candidates}
    for variant in candidates:
        if not problems[variant.name]:
            return with_classes(variant, checkpoint.state)
    nearest = min(problems, key=lambda name: len(problems[name]))
    expected = _expected(with_classes(VARIANTS[nearest], checkpoint.state))
    details = mismatches(expected, _shapes(checkpoint.state))
    raise CheckpointError(
        f"{checkpoint.source} holds no RT-DETRv2 that is known; the nearest is {nearest}: {'; '.join(details)}.",
        f"The known ones are {', '.join(VARIANTS)}.",
    )


def class_names_of(checkpoint: Checkpoint, classes: int) -> tuple[str, ...]:
    """Names by label: the checkpoint's own, else those of COCO where it has 80 classes, else none."""
    if len(checkpoint.class_names) == classes:
        return checkpoint.class_names
    return COCO_NAMES if classes == len(COCO_NAMES) else ()


def with_classes(variant: Variant, state: State) -> Variant:
    """The variant, with as many classes as the state's score head has."""
    head = state.get("decoder.enc_score_head.weight")
    return variant if head is None or head.ndim == 0 else replace(variant, classes=len(head))


def mismatches(expected: Shapes, given: Shapes) -> list[str]:
    """What is missing, too much, or of another shape, as phrases; empty where all fits."""
    missing = [name for name in expected if name not in given]
    extra = [name for name in given if name not in expected and _counts(name)]
    other = [
        f"{name} is {_text(given[name])} instead of {_text(shape)}"
        for name, shape in expected.items()
        if name in given and given[name] != shape
    ]
    return [
        f"{len(names)} {what} ({_listed(names)})"
        for what, names in (("missing", missing), ("unknown", extra), ("of another shape", other))
        if names
    ]


def _content_of_pth(path: Path) -> object:
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.", "Check that it may be read.") from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damage leads the unpickler anywhere
        size = f"{path.stat().st_size:,} bytes"
        if start and not start.startswith(_PICKLED):
            raise CheckpointError(
                f"{path} ({size}) is no PyTorch checkpoint.",
                "Give a .pth file or a Hugging Face folder; an ONNX file's name must end in .onnx.",
            ) from error
        if isinstance(error, pickle.UnpicklingError):
            raise CheckpointError(
                f"{path} holds more than weights: {_first_line(error)}.",
                "It would run code when loaded, so it was not. Use a checkpoint from a source that you trust.",
            ) from error
        raise CheckpointError(
            f"{path} ({size}) is not a whole PyTorch checkpoint: {_first_line(error)}.", "Download or copy it again."
        ) from error


def _names_in(content: object) -> tuple[str, ...]:
    """What detrt's own checkpoints say, under a key that official ones lack."""
    names = content.get("class_names", ()) if isinstance(content, Mapping) else ()
    return tuple(map(str, names)) if isinstance(names, list | tuple) else ()


def _state_in(content: object, path: Path) -> State:
    for keys in (("ema", "module"), ("model",), ()):
        state = content
        for key in keys:
            state = state.get(key) if isinstance(state, Mapping) else None
        if isinstance(state, Mapping) and state and all(isinstance(value, Tensor) for value in state.values()):
            return {str(name).removeprefix("module."): value for name, value in state.items()}
    found = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
    raise CheckpointError(
        f"{path} has no weights under ema.module or model; it holds {found or 'nothing'}.",
        "Give an official RT-DETRv2 checkpoint, or a state dict.",
    )


@cache
def _expected(variant: Variant) -> Shapes:
    with torch.device("meta"):
        model = RTDETRv2(variant)
    return {name: tuple(value.shape) for name, value in model.state_dict().items() if _counts(name)}


def _misfit(variant: Variant, state: State) -> list[str]:
    """Names that are missing, too many or of another shape."""
    expected, given = _expected(with_classes(variant, state)), _shapes(state)
    return [name for name in {*expected, *given} if expected.get(name) != given.get(name)]


def _shapes(state: State) -> Shapes:
    return {name: tuple(value.shape) for name, value in state.items() if _counts(name)}


def _counts(name: str) -> bool:
    return not name.endswith(_MADE)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip(".") or type(error).__name__
