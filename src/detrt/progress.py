"""How long work says how far it is, without knowing who looks."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called as work goes on: `done` of `total` steps of `stage`. The command line draws it; a program may log it.

    Called from the thread that works, so it must be quick. `total` is None where nobody knows it yet.
    """

    def __call__(self, stage: str, done: int, total: int | None) -> None: ...


def silent(stage: str, done: int, total: int | None) -> None:
    """Ignore progress; the default everywhere."""
