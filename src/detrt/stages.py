"""Where the time of a run goes, stage by stage."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class StageTimes:
    """Seconds spent in each stage, added up over threads. Stages of different threads overlap; `wall` does not."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.images = 0
        self._started = time.perf_counter()
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - start
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + taken

    @property
    def wall(self) -> float:
        """Seconds since the first image was asked for."""
        return time.perf_counter() - self._started

    def per_image(self) -> dict[str, float]:
        """Milliseconds an image of each stage, in the order in which the stages were first seen."""
        return {name: 1e3 * seconds / max(1, self.images) for name, seconds in self.seconds.items()}
