"""Find the fewest changes to a graph that bring its engine back to the reference."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import onnx
import orjson

from detrt import __version__
from detrt.compare.culprits import Culprit
from detrt.compare.minimise import minimise, shortest_prefix
from detrt.errors import ModelError
from detrt.files import naming
from detrt.graph.passes import PassResult
from detrt.progress import Progress, silent


class Judge(Protocol):
    """Builds a candidate and says how good it is; more is better.

    Attributes:
        name: everything but the model that its verdicts depend on, by content, so that they can be kept.
    """

    @property
    def name(self) -> str: ...

    def __call__(self, model: onnx.ModelProto) -> float:
        """Judge it; a `ModelError` where it cannot be built or run."""
        ...


Change = Callable[[Sequence[str]], Callable[[onnx.ModelProto], PassResult]]
"""From names to the pass that changes the graph there: `Mark` or `Unquantize`."""


@dataclass(frozen=True)
class Trial:
    """What was changed, what the judge said, and why it could not, where it could not."""

    items: tuple[str, ...]
    score: float
    error: str = ""


@dataclass(frozen=True)
class Repair:
    """What came of it.

    Attributes:
        start: the score of the model as it is.
        goal: the score to reach.
        best: the smallest change that reaches the goal; where none does, the change with the best score.
        culprit: what the search began with: the name of a known one, or empty.
        trials: everything that was judged, in order.
        minimal: whether every item of the change was shown to be needed within the budget.
    """

    start: float
    goal: float
    best: Trial
    culprit: str
    trials: tuple[Trial, ...]
    minimal: bool

    @property
    def solved(self) -> bool:
        """Whether the goal is reached."""
        return self.best.score >= self.goal


class _OutOfBudgetError(Exception):
    pass


@dataclass
class _Search:
    """Judges sets of names, each once, and remembers."""

    model: onnx.ModelProto
    change: Change
    judge: Judge
    goal: float
    budget: int
    journal: Path | None
    progress: Progress
    trials: dict[tuple[str, ...], Trial] = field(default_factory=dict)
    known: dict[tuple[str, ...], Trial] = field(default_factory=dict)

    def score(self, items: Iterable[str]) -> float:
        """The score with these names changed; -1 where it cannot be built."""
        key = tuple(sorted(items))
        if key not in self.trials:
            if key in self.known:
                self.trials[key] = self.known[key]
            else:
                if len(self.trials) >= self.budget:
                    raise _OutOfBudgetError
                self.trials[key] = self._judged(key)
                self._keep(self.trials[key])
            self.progress("trials", len(self.trials), self.budget)
        return self.trials[key].score

    def passes(self, items: tuple[str, ...]) -> bool:
        """Whether they bring the goal."""
        return self.score(items) >= self.goal

    def recall(self) -> None:
        """Take what an earlier search of the same model and judge has judged."""
        if self.journal and self.journal.is_file():
            written = self.journal.read_bytes()
            if not written.endswith(b"\n"):  # cut off; what follows must not be glued to it
                self.journal.write_bytes(written + b"\n")
            for line in written.splitlines():
                try:
                    row = orjson.loads(line)
                    trial = Trial(tuple(row["items"]), float(row["score"]), str(row["error"]))
                except (ValueError, KeyError, TypeError):
                    continue
                self.known[trial.items] = trial

    def _judged(self, key: tuple[str, ...]) -> Trial:
        try:
            changed = self.change(key)(self.model).model if key else self.model
            return Trial(key, self.judge(changed))
        except ModelError as error:
            return Trial(key, -1.0, error.problem)

    def _keep(self, trial: Trial) -> None:
        if self.journal:
            self.journal.parent.mkdir(parents=True, exist_ok=True)
            row = {"items": trial.items, "score": trial.score, "error": trial.error}
            with naming(self.journal), self.journal.open("ab") as file:
                file.write(orjson.dumps(row) + b"\n")


def repair(
    model: onnx.ModelProto,
    judge: Judge,
    change: Change,
    *,
    goal: float,
    known: Sequence[Culprit] = (),
    candidates: Sequence[str] = (),
    budget: int = 60,
    journal: Path | None = None,
    progress: Progress = silent,
) -> Repair:
    """Try the model as it is, known culprits, all of them, all candidates; then find the smallest part that suffices.

    Args:
        model: whose engine goes wrong.
        judge: builds and scores.
        change: what to do at the names: mark them, or take their quantisers away.
        goal: the score that counts as repaired.
        known: sets to try first.
        candidates: all that may be changed, in the graph's order.
        budget: most candidates to build. What a journal knows already is free.
        journal: a file that keeps every score, so that a search that was stopped goes on where it was.
        progress: told of every trial.
    """
    search = _Search(model, change, judge, goal, budget, journal, progress)
    search.recall()
    culprit, minimal = "", False
    found: tuple[str, ...] | None = None
    try:
        if search.passes(()):
            return _result(search, (), "", minimal=True)
        together = Culprit(
            "all known culprits together", tuple(dict.fromkeys(t for each in known for t in each.tensors))
        )
        everything = Culprit("", tuple(candidates))
        for each in (*known, together, everything):
            if each.tensors and search.passes(each.tensors):
                culprit, found = each.name, each.tensors
                break
        if found is not None:
            minimise(found if culprit else shortest_prefix(found, search.passes), search.passes)
            minimal = True
    except _OutOfBudgetError:
        pass
    passing = [trial for trial in search.trials.values() if trial.score >= goal]
    if passing:
        best = min(passing, key=lambda trial: (len(trial.items), -trial.score))
        return _result(search, best.items, culprit, minimal=minimal)
    best = max(search.trials.values(), key=lambda trial: (trial.score, -len(trial.items)))
    return _result(search, best.items, culprit, minimal=False)


def journal_name(model: onnx.ModelProto, judge: Judge, action: str) -> str:
    """A file name for the scores of one model, judge and action, as this version of detrt gives them."""
    digest = hashlib.sha256(model.SerializeToString(deterministic=True))
    digest.update(f"|{judge.name}|{action}|{__version__}".encode(errors="backslashreplace"))
    return f"{digest.hexdigest()[:20]}.jsonl"


def _result(search: _Search, items: tuple[str, ...], culprit: str, *, minimal: bool) -> Repair:
    key = tuple(sorted(items))
    start = search.trials.get((), Trial((), -1.0, "nothing was built within the budget"))
    return Repair(
        start=start.score,
        goal=search.goal,
        best=search.trials.get(key, start),
        culprit=culprit,
        trials=tuple(search.trials.values()),
        minimal=minimal,
    )
