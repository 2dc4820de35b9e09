"""One call on the GPU, at the least latency: no threads stand between a photo's bytes and its boxes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from detrt.detections import Detections
from detrt.detector import Detector
from detrt.errors import ImageError
from detrt.images.sources import Item
from detrt.pipeline.lane import Lane, Loaded
from detrt.pipeline.lanes import device_lane_of
from detrt.stages import StageTimes

MOST_LANES = 4
"""Numbers of photos that are kept ready; the one that was not used for the longest time gives way."""


@dataclass(frozen=True)
class _Ready:
    lane: Lane[Any]
    place: Any


class InstantPath:
    """Detects in as many photos as a call brings, one call after the other."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._ready: dict[int, _Ready] = {}
        self._lock = threading.Lock()
        self._loaders: ThreadPoolExecutor | None = None

    def __call__(self, items: Sequence[Item], *, room: int) -> list[Detections] | None:
        """Detections of `items`, run as one batch of `room`; None where there is no such path here.

        Raises:
            ImageError: one of them cannot be decoded.
        """
        with self._lock:
            ready = self._ready_for(room)
            if ready is None:
                return None
            ready.lane.use()
            try:
                loaded = self._load(ready, items)
            except BaseException:
                ready.lane.run(ready.place, ())  # nothing of this call may stay where the next one's photos go
                raise
            found = ready.lane.run(ready.place, loaded)
        for one in found:
            if isinstance(one, ImageError):
                raise one
        return [one for one in found if isinstance(one, Detections)]

    def close(self) -> None:
        """Give the memory back."""
        with self._lock:
            if self._loaders:
                self._loaders.shutdown()
            for ready in self._ready.values():
                ready.lane.close()
            self._ready.clear()

    def _load(self, ready: _Ready, items: Sequence[Item]) -> list[Loaded]:
        """All of them; where one fails, its error, when no thread works on the others any more."""
        if len(items) == 1 or ready.lane.loads_together:
            return [ready.lane.load(ready.place, row, item) for row, item in enumerate(items)]
        self._loaders = self._loaders or ThreadPoolExecutor(thread_name_prefix="detrt-load", initializer=ready.lane.use)
        loading = [self._loaders.submit(ready.lane.load, ready.place, row, item) for row, item in enumerate(items)]
        try:
            return [future.result() for future in loading]
        finally:
            wait(loading)

    def _ready_for(self, room: int) -> _Ready | None:
        if room in self._ready:
            self._ready[room] = self._ready.pop(room)
        else:
            lane = device_lane_of(self._detector, room, StageTimes(), alone=True)
            if lane is None:
                return None
            while len(self._ready) >= MOST_LANES:
                self._ready.pop(next(iter(self._ready))).lane.close()
            self._ready[room] = _Ready(lane, lane.place())
        return self._ready[room]
