"""What a graph pass is, and how passes compose: ModelProto in, a new ModelProto out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import onnx


class PassResult(NamedTuple):
    """The model after a pass, and whether the pass changed anything."""

    model: onnx.ModelProto
    changed: bool


class Pass(Protocol):
    """One rewrite. It never edits its argument, and raises a `GraphError` where its precondition does not hold."""

    def __call__(self, model: onnx.ModelProto) -> PassResult: ...


def apply(model: onnx.ModelProto, passes: Iterable[Pass]) -> PassResult:
    """Apply `passes` in order; `changed` where any of them changed something."""
    changed = False
    for step in passes:
        model, once = step(model)
        changed |= once
    return PassResult(model, changed)
