"""Whether a model's tensors are what its contract takes them for, before anything is fed to or read from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from detrt.contract import ModelContract
from detrt.errors import ContractError
from detrt.signature import TensorSpec

Axes = tuple[int | str, ...]
"""Lengths, or names of lengths that are the same for all tensors. `N` may be any: a file may tell of another batch."""

_RAW: Mapping[str, Axes] = {"logits": ("N", "queries", "classes"), "boxes": ("N", "queries", 4)}
_DETECTIONS: Mapping[str, Axes] = {"labels": ("N", "K"), "boxes": ("N", "K", 4), "scores": ("N", "K")}


def refuse_misfit(contract: ModelContract, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
    """Hold a model's inputs and outputs against what its contract means by their names.

    Raises:
        ContractError: one is missing, of other axes or of another type, or nothing is known to feed an input with.
    """
    fed: dict[str, Axes] = {contract.input_name: ("N", 3, *contract.input_size)}
    if contract.sizes_name:
        fed[contract.sizes_name] = ("N", 2)
    roles = _RAW if contract.output_form == "raw" else _DETECTIONS
    lengths: dict[str, int] = {}
    for kind, specs, wanted in (
        ("input", inputs, fed),
        ("output", outputs, {contract.output(role): axes for role, axes in roles.items()}),
    ):
        by_name = {spec.name: spec for spec in specs}
        for name, axes in wanted.items():
            if name not in by_name:
                raise _misfit(f"there is no {kind} {name}")
            spec = by_name[name]
            untold = kind == "output" and not spec.shape
            if not untold and not _fits(spec.shape, axes, lengths):
                told = ", ".join(str(lengths.get(str(axis), axis)) for axis in axes)
                raise _misfit(f"the {kind} {spec} should be ({told})")
    for spec in inputs:
        if spec.name not in fed:
            raise _misfit(f"nothing is known to feed the input {spec.name} with")
        if spec.name == contract.sizes_name and spec.dtype != "int64":
            raise _misfit(f"the input {spec} should be int64")


def _fits(shape: Sequence[int | None], wanted: Axes, lengths: dict[str, int]) -> bool:
    """Whether a shape is as wanted, where it is known; what its axes tell of names is kept in `lengths`."""
    if len(shape) != len(wanted):
        return False
    for length, want in zip(shape, wanted, strict=True):
        if length is None or want == "N":
            continue
        if (lengths.setdefault(want, length) if isinstance(want, str) else want) != length:
            return False
    return True


def _misfit(why: str) -> ContractError:
    return ContractError(
        f"The model's contract does not fit its tensors: {why}.", "Export the model again, and build its engine anew."
    )
