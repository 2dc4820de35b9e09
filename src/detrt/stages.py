"""Where the time of a run goes, stage by stage."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """One stay of a thread in a stage, in seconds of `time.perf_counter`."""

    stage: str
    thread: str
    start: float
    end: float


class StageTimes:
    """Seconds spent in each stage, added up over threads. Stages of different threads overlap; `wall` does not.

    Attributes:
        seconds: by stage.
        images: that came out.
        spans: every single one, where asked for; see `benchmark.timeline`.
    """

    def __init__(self, *, keep_spans: bool = False) -> None:
        self.spans: list[Span] | None = [] if keep_spans else None
        self.seconds: dict[str, float] = {}
        self.images = 0
        self._started = time.perf_counter()
        self._lock = threading.Lock()

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Add the time that the block takes to `name`."""
        return _Stay(self, name)

    def add(self, name: str, start: float, end: float) -> None:
        """Add the time between two moments of `time.perf_counter`."""
        with self._lock:
            self.seconds[name] = self.seconds.get(name, 0.0) + end - start
            if self.spans is not None:
                self.spans.append(Span(name, threading.current_thread().name, start, end))

    @property
    def wall(self) -> float:
        """Seconds since the first image was asked for."""
        return time.perf_counter() - self._started

    def per_image(self) -> dict[str, float]:
        """Milliseconds an image of each stage, in the order in which the stages were first seen."""
        return {name: 1e3 * seconds / max(1, self.images) for name, seconds in self.seconds.items()}


class _Stay:
    """A stay in a stage. Written out, since one by `contextlib` takes twice the time, and a call has several."""

    __slots__ = ("_name", "_start", "_times")

    def __init__(self, times: StageTimes, name: str) -> None:
        self._times, self._name = times, name

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._times.add(self._name, self._start, time.perf_counter())
