from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from detrt.benchmark import turns
from detrt.benchmark.timings import Round, Subject
from detrt.benchmark.turns import Pace, order_of_round, take_turns
from detrt.errors import ModelError


@dataclass
class Clock:
    """A clock that only the work moves."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Scripted:
    """Takes `cold` milliseconds for its first runs and `warm` for the others; notes when it was asked for what."""

    name: str
    clock: Clock
    log: list[tuple[str, int]]
    warm: float = 10.0
    cold: float = 10.0
    cold_runs: int = 0
    fail: bool = False
    interrupt_at: int | None = None
    done: int = 0
    calls: int = 0
    closed: bool = False
    subject: Subject = field(init=False)

    def __post_init__(self) -> None:
        self.subject = Subject(self.name, "scripted", "", "cpu", "engine")

    def time(self, runs: int) -> Round:
        if self.fail:
            raise ModelError("It does not run.", "Nothing.")
        if self.calls == self.interrupt_at:
            raise KeyboardInterrupt
        self.calls += 1
        self.log.append((self.name, runs))
        times = [self.cold if self.done + i < self.cold_runs else self.warm for i in range(runs)]
        self.done += runs
        self.clock.now += sum(times) / 1e3
        return Round(tuple(times), sum(times))

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(turns, "perf_counter", clock)
    return clock


def test_subjects_take_turns_and_each_round_starts_one_further(clock: Clock) -> None:
    log: list[tuple[str, int]] = []
    rows, failures = take_turns([Scripted(name, clock, log) for name in "abc"], Pace(seconds=1.0))
    assert [row.subject.model for row in rows] == ["a", "b", "c"]
    assert not failures
    timed = "".join(name for name, _ in log[-15:])
    assert timed == "abcbcacababcbca"


@pytest.mark.parametrize(("number", "order"), [(0, [1, 2, 3]), (1, [2, 3, 1]), (5, [3, 1, 2])])
def test_order_of_a_round(number: int, order: list[int]) -> None:
    assert order_of_round([1, 2, 3], number) == order
    assert order_of_round([], number) == []


def test_rounds_last_as_long_as_was_asked_however_fast_a_subject_is(clock: Clock) -> None:
    log: list[tuple[str, int]] = []
    subjects = [Scripted("slow", clock, log, warm=50.0), Scripted("fast", clock, log, warm=0.5)]
    rows, _ = take_turns(subjects, Pace(seconds=2.0))
    for row in rows:
        assert row.runs * row.mean == pytest.approx(2000, rel=0.01)
        assert len(row.rounds) == 5


def test_warm_up_goes_on_until_rounds_agree(clock: Clock) -> None:
    log: list[tuple[str, int]] = []
    subject = Scripted("m", clock, log, cold=100.0, cold_runs=5)
    (row,), _ = take_turns([subject], Pace(seconds=1.0))
    assert row.settled
    assert row.warm_up_runs > 5
    assert row.p99 == row.minimum == 10.0


def test_subject_that_never_settles_is_timed_and_marked(clock: Clock) -> None:
    class Unsteady(Scripted):
        def time(self, runs: int) -> Round:
            self.warm *= 1.5
            return super().time(runs)

    (row,), _ = take_turns([Unsteady("m", clock, [], warm=1.0, cold=1.0)], Pace(seconds=0.1, warm_up=1.0))
    assert not row.settled


def test_interrupt_keeps_what_was_measured(clock: Clock) -> None:
    log: list[tuple[str, int]] = []
    first = Scripted("first", clock, log)
    second = Scripted("second", clock, log, interrupt_at=9)
    rows, _ = take_turns([first, second], Pace(seconds=1.0))
    assert [row.subject.model for row in rows] == ["first", "second"]
    assert 0 < len(rows[1].rounds) < 5


def test_interrupt_while_warming_up_gives_no_rows(clock: Clock) -> None:
    rows, _ = take_turns([Scripted("m", clock, [], interrupt_at=0)], Pace(seconds=1.0))
    assert rows == []


def test_subject_that_fails_leaves_the_others_alone(clock: Clock) -> None:
    rows, failures = take_turns([Scripted("bad", clock, [], fail=True), Scripted("good", clock, [])], Pace(seconds=0.1))
    assert [row.subject.model for row in rows] == ["good"]
    assert [(subject.model, str(error)) for subject, error in failures] == [("bad", "It does not run. Nothing.")]


def test_clock_is_asked_after_each_round(clock: Clock) -> None:
    asked = iter(range(1000, 2000, 100))
    (row,), _ = take_turns([Scripted("m", clock, [])], Pace(seconds=0.1), clock_mhz=lambda: next(asked))
    assert row.clocks_mhz == (1000, 1400)
