"""Photos through a runtime that takes host arrays: decoded and resized by the threads that load."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from detrt.detections import Detections
from detrt.detector import Detector
from detrt.images.preprocess import Batch
from detrt.images.sources import Item
from detrt.pipeline.lane import Loaded
from detrt.runtime.base import SplitsByCore
from detrt.stages import StageTimes


class HostLane:
    """A place is a batch of the network's input.

    On the CPU every core runs a group of its own, on one thread: no time is lost by threads of one run waiting for each
    other, and a core that is done decodes. A lone group still gets all the cores.
    """

    loads_together = False

    def __init__(self, detector: Detector, batch: int, times: StageTimes) -> None:
        self._detector, self._batch, self._times = detector, batch, times
        runtime = detector.runtime
        self._splits = isinstance(runtime, SplitsByCore) and runtime.device == "cpu"
        self.runners = (os.cpu_count() or 1) if self._splits else 1
        self._narrow: Detector | None = None
        self._running = 0
        self._lock = threading.Lock()

    def place(self) -> Batch:
        """See `Lane`."""
        return self._detector.preprocessor.batch(self._batch)

    def load(self, place: Batch, row: int, item: Item) -> Loaded:
        """See `Lane`."""
        with self._times.stage("decode"):
            pixels = item.pixels()
        with self._times.stage("resize"):
            return Loaded(row, self._detector.preprocessor.fill(place[row], pixels), pixels)

    def run(self, place: Batch, loaded: Sequence[Loaded]) -> list[Detections]:
        """See `Lane`."""
        if not loaded:
            return []
        rows = [photo.row for photo in loaded]
        placements = [photo.placement for photo in loaded]
        with self._times.stage("infer"):
            batch = place[: len(rows)] if rows[-1] == len(rows) - 1 else place[rows]
            with self._one() as detector:
                outputs = detector.infer(batch, placements)
        with self._times.stage("boxes"):
            return self._detector.decode(outputs, placements)

    def use(self) -> None:
        """See `Lane`."""

    def close(self) -> None:
        """See `Lane`."""

    @contextmanager
    def _one(self) -> Iterator[Detector]:
        """The detector to run a group: with all cores where it is alone, else with one."""
        with self._lock:
            self._running += 1
            if self._splits and self._running > 1 and self._narrow is None:
                runtime = self._detector.runtime
                assert isinstance(runtime, SplitsByCore)
                self._narrow = self._detector.over(runtime.on_one_core())
            chosen = self._narrow or self._detector
        try:
            yield chosen
        finally:
            with self._lock:
                self._running -= 1
