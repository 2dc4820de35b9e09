"""The contract of a foreign model, inferred from its tensors alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from detrt.contract import ModelContract
from detrt.errors import ContractError

ACCEPTED = (
    "one image input (N, 3, H, W), and either\n"
    "  - an int64 input (N, 2) of sizes, with outputs labels (N, K), boxes (N, K, 4), scores (N, K); or\n"
    "  - outputs logits (N, Q, classes) and boxes (N, Q, 4), where the names tell which is which"
)


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape and dtype of a tensor; a dynamic axis is None. The dtype is numpy's name for it."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    def __str__(self) -> str:
        """For example `images float32 (N, 3, 640, 640)`."""
        axes = ", ".join("N" if axis is None else str(axis) for axis in self.shape)
        return f"{self.name} {self.dtype} ({axes})"


def contract_from_signature(
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    *,
    size: tuple[int, int] | None = None,
    class_names: Sequence[str] = (),
) -> ModelContract:
    """Infer the contract of a model that carries none.

    Everything that the tensors cannot say (resize rule, colours, scale, class names) takes the family's convention
    and is listed in `assumed`.

    Args:
        inputs: the model's inputs.
        outputs: its outputs; further ones, such as marked tensors, are ignored.
        size: (height, width) for a model whose own input size is dynamic.
        class_names: names by label, taken where their number does not contradict the model.

    Raises:
        ContractError: the signature is none that detrt can serve; lists what was found and what is accepted.
    """
    images = [spec for spec in inputs if len(spec.shape) == 4 and spec.shape[1] in (3, None)]
    if len(images) != 1:
        raise _unserved(inputs, outputs, f"{len(images)} inputs look like an image batch")
    sizes = [spec for spec in inputs if _is_sizes(spec)]
    others = [spec.name for spec in inputs if spec not in images and spec not in sizes]
    if others:
        raise _unserved(inputs, outputs, f"nothing is known to feed the input {', '.join(others)} with")
    contract = partial(
        ModelContract,
        input_name=images[0].name,
        input_size=_input_size(images[0], size),
        assumed=("resize", "color", "scale", "mean", "std", "class_names", "family", "variant"),
    )
    if len(sizes) == 1 and (named := _detections_outputs(outputs)):
        return contract(
            output_form="detections",
            outputs=named,
            sizes_name=sizes[0].name,
            class_names=tuple(class_names),
        )
    if not sizes and (named := _raw_outputs(outputs)):
        classes = next(spec.shape[2] for spec in outputs if spec.name == named["logits"])
        names = tuple(class_names) if classes in (len(class_names), None) else ()
        return contract(output_form="raw", outputs=named, sizes_name=None, class_names=names)
    raise _unserved(inputs, outputs, "the outputs are neither detections nor logits and boxes")


def _detections_outputs(outputs: Sequence[TensorSpec]) -> dict[str, str] | None:
    """Labels, boxes and scores, by name where the names are plain and by shape and dtype where they are not."""
    boxes = _pick(outputs, "boxes", _is_boxes)
    labels = _pick(outputs, "labels", lambda spec: _is_row(spec) and spec.dtype.startswith(("int", "uint")))
    scores = _pick(outputs, "scores", lambda spec: _is_row(spec) and spec.dtype.startswith(("float", "bfloat")))
    return {"labels": labels, "boxes": boxes, "scores": scores} if boxes and labels and scores else None


def _raw_outputs(outputs: Sequence[TensorSpec]) -> dict[str, str] | None:
    boxes = _pick(outputs, "boxes", _is_boxes)
    logits = _pick(outputs, "logits", lambda spec: len(spec.shape) == 3 and spec.name != boxes)
    return {"logits": logits, "boxes": boxes} if boxes and logits else None


def _pick(outputs: Iterable[TensorSpec], role: str, fits: Callable[[TensorSpec], bool]) -> str | None:
    """The one output that fits the role; among several, the one that carries the role's name."""
    fitting = [spec.name for spec in outputs if fits(spec)]
    for name in (role, f"pred_{role}"):
        if name in fitting:
            return name
    return fitting[0] if len(fitting) == 1 else None


def _is_sizes(spec: TensorSpec) -> bool:
    return len(spec.shape) == 2 and spec.shape[1] in (2, None) and spec.dtype == "int64"


def _is_boxes(spec: TensorSpec) -> bool:
    named = spec.name in ("boxes", "pred_boxes")
    return len(spec.shape) in (0, 3) and (spec.shape[-1:] == (4,) or (named and spec.shape[-1:] in ((), (None,))))


def _is_row(spec: TensorSpec) -> bool:
    named = spec.name in ("labels", "scores")
    return len(spec.shape) == 2 or (named and not spec.shape)


def _input_size(images: TensorSpec, size: tuple[int, int] | None) -> tuple[int, int]:
    height, width = images.shape[2:]
    if height is not None and width is not None:
        if size is not None and size != (height, width):
            raise ContractError(
                f"The size {size[0]}x{size[1]} was asked for, but the model takes {height}x{width} only.",
                "Leave the size out, or export the model again at the size that you want.",
            )
        return height, width
    if size is None:
        raise ContractError(
            f"The input {images} leaves height and width open, so the size that it was trained at is unknown.",
            "Say it: --contract size=HEIGHTxWIDTH",
        )
    return size


def _unserved(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], why: str) -> ContractError:
    found = "\n".join(
        [*(f"  in:  {spec}" for spec in inputs), *(f"  out: {spec}" for spec in outputs)],
    )
    return ContractError(
        f"This model's signature is not one that detrt can serve: {why}. Found:\n{found}\n",
        f"Accepted: {ACCEPTED}.",
    )
