"""The loop that times: warm up until stable, then rounds in which the subjects take turns."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import Protocol, TypeVar

import numpy as np

from detrt.benchmark.timings import Round, Subject, Timings, timings_from
from detrt.errors import DetrtError
from detrt.progress import Progress, silent

_T = TypeVar("_T")

_AGREE = 0.02  # this many warm-up rounds in a row whose medians are this close say that it is warm
_AGREEING = 3
_SHORTEST_WARM_UP = 0.5  # seconds; a GPU takes some tenths to raise its clocks
_WARM_UP_ROUND = 0.1  # seconds
_ROUND = 0.5  # seconds
_FEWEST_ROUNDS = 5
_FEWEST_RUNS = 3  # of a round, however slow the subject


class Timeable(Protocol):
    """Something that can run again and again on inputs that change from run to run."""

    @property
    def subject(self) -> Subject: ...

    def time(self, runs: int) -> Round:
        """Run that many times back to back and time each."""
        ...

    def close(self) -> None:
        """Give its memory back."""
        ...

    def __enter__(self) -> Timeable: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True)
class Pace:
    """How long a benchmark takes.

    Attributes:
        seconds: of timed runs, for each subject.
        warm_up: at most so many seconds of warming up, for each subject.
    """

    seconds: float = 5.0
    warm_up: float = 5.0

    @property
    def rounds(self) -> int:
        """Turns for each subject: short ones, so that neighbours in time are compared, and at least five."""
        return max(_FEWEST_ROUNDS, math.ceil(self.seconds / _ROUND))


@dataclass
class _Turns:
    """What a subject has done so far."""

    timeable: Timeable
    runs_a_round: int = 1
    warm_up_runs: int = 0
    settled: bool = False
    rounds: list[Round] = field(default_factory=list)
    clocks: list[int] = field(default_factory=list)
    failure: DetrtError | None = None


def take_turns(
    timeables: Sequence[Timeable],
    pace: Pace = Pace(),
    *,
    clock_mhz: Callable[[], int | None] = lambda: None,
    progress: Progress = silent,
) -> tuple[list[Timings], list[tuple[Subject, DetrtError]]]:
    """Time every subject, interleaved; one row each, in their order, and what became of those that failed.

    Ctrl-C ends it early: the rows then hold what was measured, and subjects that had no round yet are left out.

    Args:
        timeables: what to time; the caller closes them.
        pace: how long.
        clock_mhz: asked right after each round for the GPU's clock.
        progress: told of each round.
    """
    turns = [_Turns(timeable) for timeable in timeables]
    with _ended_by_interrupt():
        for done, turn in enumerate(turns):
            try:
                _warm_up(turn, pace)
            except DetrtError as error:
                turn.failure = error
            progress("Warming up", done + 1, len(turns))
        able = [turn for turn in turns if turn.failure is None]
        with _past_garbage_collected():
            for number in range(pace.rounds):
                for turn in order_of_round(able, number):
                    turn.rounds.append(turn.timeable.time(turn.runs_a_round))
                    if (clock := clock_mhz()) is not None:
                        turn.clocks.append(clock)
                progress("Timing", number + 1, pace.rounds)
    rows = [
        timings_from(
            turn.timeable.subject,
            turn.rounds,
            clocks=turn.clocks,
            warm_up_runs=turn.warm_up_runs,
            settled=turn.settled,
        )
        for turn in turns
        if turn.rounds
    ]
    return rows, [(turn.timeable.subject, turn.failure) for turn in turns if turn.failure]


def order_of_round(turns: Sequence[_T], number: int) -> list[_T]:
    """Who comes when in a round: each round starts one further, so that nobody always follows the same neighbour."""
    start = number % max(len(turns), 1)
    return [*turns[start:], *turns[:start]]


def _warm_up(turn: _Turns, pace: Pace) -> None:
    """Run until the last rounds agree, or the time is up; then choose how many runs make a round."""
    begun = perf_counter()
    runs, medians = 1, list[float]()
    while True:
        result = turn.timeable.time(runs)
        turn.warm_up_runs += runs
        each = result.wall / runs
        medians.append(float(np.median(result.runs)))
        spent, last = perf_counter() - begun, medians[-_AGREEING:]
        turn.settled = len(last) == _AGREEING and max(last) - min(last) <= _AGREE * min(last)
        if spent > pace.warm_up or (turn.settled and spent > _SHORTEST_WARM_UP):
            break
        runs = max(_FEWEST_RUNS, _fitting(_WARM_UP_ROUND, each))
    turn.runs_a_round = max(_FEWEST_RUNS, _fitting(pace.seconds / pace.rounds, each))


@contextmanager
def _past_garbage_collected() -> Iterator[None]:
    """Collect what was made before, and let the collector look no more at what is left of it.

    It does its work as ever on what the subjects make; but to go through all that a benchmark has loaded takes it
    40 ms, which would be counted as the time of whoever's turn it is.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _fitting(seconds: float, milliseconds_each: float) -> int:
    return int(1e3 * seconds / milliseconds_each) if milliseconds_each > 0 else _FEWEST_RUNS


@contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        return
