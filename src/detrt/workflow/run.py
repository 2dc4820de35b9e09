"""Do the steps of a plan that are still to be done."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from detrt.errors import DetrtError
from detrt.files import sha256_of
from detrt.progress import Progress, silent
from detrt.workflow.journal import WorkflowJournal
from detrt.workflow.step import Digest, Outcome, Step

Told = Callable[[Outcome], None]


def _nobody(outcome: Outcome) -> None:
    """Tell nobody."""


def _nothing() -> None:
    """Do nothing."""


def preview(steps: Sequence[Step], folder: Path, *, skip: Sequence[str] = ()) -> list[Outcome]:
    """What `run` would do, without doing any of it.

    Raises:
        DetrtError: something that the user named is not here, and a step that is due needs it.
    """
    outcomes = _Walk(folder, skip).through(steps)
    for step, outcome in zip(steps, outcomes, strict=True):
        if outcome.state == "due" and step.absent:
            raise step.absent
    return outcomes


def run(
    steps: Sequence[Step],
    folder: Path,
    *,
    skip: Sequence[str] = (),
    machine: str = "",
    begin: Callable[[], None] = _nothing,
    told: Told = _nobody,
    progress: Progress = silent,
) -> list[Outcome]:
    """Do what is due, step by step; what fails is told by name, and what depends on it is left undone.

    Killed at any point, the same call goes on: finished steps are kept, and an unfinished one goes on where its own
    journal ends.

    Args:
        steps: in an order in which each comes after what it reads.
        folder: where they write.
        skip: kinds of steps to leave out.
        machine: where this is, for the journal.
        begin: called before the first step, once the folder is held and nobody else writes there.
        told: told what became of each step.
        progress: told of the work within them.

    Raises:
        DetrtError: see `preview`; or the first step, on which everything depends, failed.
        UsageError: see `WorkflowJournal.writing`.
    """
    preview(steps, folder, skip=skip)
    walk = _Walk(folder, skip, machine)
    with walk.journal.writing():
        begin()
        return walk.through(steps, act=True, told=told, progress=progress)


class _Walk:
    def __init__(self, folder: Path, skip: Sequence[str], machine: str = "") -> None:
        self.journal = WorkflowJournal(folder)
        self._folder, self._skip, self._machine = folder, skip, machine
        self._makers: dict[str, Step] = {}
        self._outcomes: dict[str, Outcome] = {}

    def through(
        self, steps: Sequence[Step], *, act: bool = False, told: Told = _nobody, progress: Progress = silent
    ) -> list[Outcome]:
        outcomes = []
        for step in steps:
            outcome = self._look(step)
            if outcome.state == "due" and act:
                outcome = self._do(step, progress, is_first=step is steps[0])
            self._outcomes[step.name] = outcome
            self._makers |= dict.fromkeys(step.outputs, step)
            outcomes.append(outcome)
            told(outcome)
        return outcomes

    def _look(self, step: Step) -> Outcome:
        """Whether the step is finished, due or cannot be."""
        if step.kind in self._skip:
            return Outcome(step.name, "left out", "as asked")
        if unmade := [file for file in step.files if not self._will_be(file)]:
            return Outcome(step.name, "impossible", self._why_not(unmade[0]))
        if step.one_of and not any(map(self._will_be, step.one_of)):
            return Outcome(step.name, "impossible", self._why_not(step.one_of[0]))
        if not self._waits(step):
            record = self.journal.record_of(step.name)
            if record and record.fits(self._inputs(step), self._folder):
                return Outcome(step.name, "kept", "", record.seconds, record.machine, record.at)
        return Outcome(step.name, "impossible", step.lacks) if step.lacks else Outcome(step.name, "due")

    def _do(self, step: Step, progress: Progress, *, is_first: bool) -> Outcome:
        inputs, begun = self._inputs(step), time.monotonic()
        self.journal.started(step.name)
        for name in step.outputs:  # made of something else, and nobody shall take it for the result of this
            (self._folder / name).unlink(missing_ok=True)
        try:
            step.action(self._read(step), lambda stage, done, total: progress(f"{step.name}: {stage}", done, total))
        except DetrtError as error:
            self.journal.failed(step.name, str(error))
            if is_first:
                raise
            return Outcome(step.name, "failed", str(error), time.monotonic() - begun, self._machine)
        record = self.journal.finished(step.name, inputs, step.outputs, time.monotonic() - begun, self._machine)
        return Outcome(step.name, "finished", "", record.seconds, record.machine, record.at)

    def _inputs(self, step: Step) -> Mapping[str, Digest]:
        return {**step.given, **{file: sha256_of(self._folder / file) for file in self._read(step)}}

    def _read(self, step: Step) -> list[str]:
        return [*step.files, *filter(self._will_be, step.one_of)]

    def _why_not(self, file: str) -> str:
        """Why there is no such file: what began it, not every link of the chain."""
        maker = self._outcomes[self._makers[file].name]
        match maker.state:
            case "impossible":
                return maker.reason
            case "failed":
                return f"'{maker.step}' failed"
            case _:
                return f"'{maker.step}' was left out"

    def _will_be(self, file: str) -> bool:
        return self._outcomes[self._makers[file].name].state in ("finished", "kept", "due")

    def _waits(self, step: Step) -> bool:
        """Whether something that it reads is itself still to be made, so that nobody can tell its hash."""
        return any(self._outcomes[self._makers[file].name].state == "due" for file in (*step.files, *step.one_of))
