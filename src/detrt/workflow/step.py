"""A step: what it depends on, what it leaves, and what a machine must have for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from detrt.errors import DetrtError
from detrt.progress import Progress

State = Literal["finished", "kept", "due", "impossible", "failed", "left out"]
"""`kept` was finished by an earlier run; `due` would run, as a plan tells; `impossible` is so on this machine."""

Digest = str | None
"""Identifies one thing that a step depends on; None where that thing is not on this machine, so nobody can tell."""


class Action(Protocol):
    """Does a step: writes every output whole, and goes on where an interrupt left it."""

    def __call__(self, files: Sequence[str], progress: Progress) -> None:
        """Work with `files`: what the step reads in the output folder, as far as it was made."""
        ...


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        name: its kind and what it is done to: `score fp16 engine`.
        action: does it.
        given: what it depends on that is not in the output folder: options, photos, versions.
        files: what it reads in the output folder, all made by earlier steps.
        one_of: further files of which those are read that are there; one is enough, and there must be one.
        outputs: what it writes there.
        lacks: why this machine cannot do it; empty where it can.
        absent: something that the user named and that is not here. No matter where the step has been finished before.
    """

    name: str
    action: Action
    given: Mapping[str, Digest] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    lacks: str = ""
    absent: DetrtError | None = None

    @property
    def kind(self) -> str:
        """The first word of its name."""
        return self.name.partition(" ")[0]


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    Attributes:
        step: its name.
        state: see `State`.
        reason: why it was not done; empty where it was.
        seconds: that it took, in whichever run did it.
        machine: where it was done, for people.
        at: UTC, when it ended.
    """

    step: str
    state: State
    reason: str = ""
    seconds: float = 0.0
    machine: str = ""
    at: str = ""

    @property
    def is_done(self) -> bool:
        """Whether its outputs are there and fit its inputs."""
        return self.state in ("finished", "kept")
