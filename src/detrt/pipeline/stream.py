"""Photos in, outcomes out, in order: threads load the next groups while others run this one."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

from detrt.detections import Detections
from detrt.detector import Detector
from detrt.errors import DetrtError, ImageError, UsageError
from detrt.images.sources import Item
from detrt.pipeline.garbage import is_collecting_here
from detrt.pipeline.lane import Lane, Loaded
from detrt.pipeline.lanes import lane_of
from detrt.pipeline.outcome import Outcome, outcome_of
from detrt.stages import StageTimes

BATCHES_AHEAD = 2
"""Groups in hand beyond those that run: one that is ready, and one that is being loaded."""

MOST_WORKERS = 32

_MAKES_WAY = 4
_A_MOMENT = 5e-5
"""Seconds. A thread that loads a whole group has the interpreter to itself for milliseconds, in which nobody could give
the GPU its next work; so it sleeps for a moment after every few photos."""


def detect_stream(
    detector: Detector,
    items: Iterable[Item],
    *,
    batch: int = 1,
    workers: int | None = None,
    times: StageTimes | None = None,
    keep_pixels: bool = True,
    lane: Lane[Any] | None = None,
) -> Generator[Outcome, None, None]:
    """Detect in every item, in order, with bounded memory.

    An item that cannot be decoded, or whose results are not finite, fails alone: its outcome carries the error. Where
    the runtime's tensors can stay on the GPU, everything after the decoding happens there. An error of `items` itself
    is raised after the outcomes of all that came before it.

    Args:
        detector: may be used elsewhere meanwhile.
        items: may be endless; taken no further ahead than needed, in the caller's thread.
        batch: photos a run of the network.
        workers: threads that decode; as many as there are cores where it is left out.
        times: filled with the time of each stage.
        keep_pixels: give the photo with each outcome, for who wants to draw on it.
        lane: to go another way than `lane_of` chooses; closed in the end.

    Raises:
        UsageError: a batch of less than 1.
        ModelError: the network cannot run, whatever the photo.
    """
    if batch < 1:
        raise UsageError(f"The batch is {batch}.", "Give at least 1 photo a run.")
    times = times or StageTimes()
    chosen = lane or lane_of(detector, batch, times)
    with _Crew(chosen, workers or min(MOST_WORKERS, os.cpu_count() or 1), keep_pixels) as crew:
        source = _Source(items, batch)
        in_hand: deque[Future[list[Outcome]]] = deque()
        while True:
            while len(in_hand) < crew.most and (group := source.group()):
                in_hand.append(crew.start(group))
            if not in_hand:
                break
            outcomes = in_hand.popleft().result()
            if group := source.group():  # before the caller takes its time with these
                in_hand.append(crew.start(group))
            times.images += len(outcomes)
            yield from outcomes
    if source.error:
        raise source.error


class _Source:
    """A stream's items, group by group. It ends at an error of its own, which is to be told after all that came before.

    Attributes:
        error: what it ended with.
    """

    def __init__(self, items: Iterable[Item], batch: int) -> None:
        self._items, self._batch = iter(items), batch
        self.error: Exception | None = None

    def group(self) -> list[Item]:
        """The next items, at the end fewer or none."""
        group: list[Item] = []
        try:
            for item in islice(self._items, 0 if self.error else self._batch):
                group.append(item)  # noqa: PERF402 - what came before an error stays
        except Exception as error:
            self.error = error
        return group


class _Crew:
    """The threads of a stream, and the places that they work in."""

    def __init__(self, lane: Lane[Any], workers: int, keep_pixels: bool) -> None:
        self._lane, self._keep_pixels = lane, keep_pixels
        self.most = lane.runners + BATCHES_AHEAD
        self._free: deque[Any] = deque()
        self._loaders = ThreadPoolExecutor(workers, "detrt-load", lane.use)
        self._runners = ThreadPoolExecutor(lane.runners, "detrt-run", lane.use)

    def start(self, items: list[Item]) -> Future[list[Outcome]]:
        """Begin with a group; called no more than `most` times before the first of the results was taken."""
        place = self._free.popleft() if self._free else self._lane.place()
        rows = list(enumerate(items))
        parts = [rows] if self._lane.loads_together else [[row] for row in rows]
        loading = [self._loaders.submit(self._load, place, part) for part in parts]
        return self._runners.submit(self._finish, items, place, loading)

    def _load(self, place: Any, part: list[tuple[int, Item]]) -> list[Loaded | DetrtError]:
        loaded = []
        for row, item in part:
            loaded.append(_loaded_or_error(self._lane, place, row, item))
            if len(part) > 1 and row % _MAKES_WAY == 0:
                time.sleep(_A_MOMENT)
        return loaded

    def _finish(self, items: list[Item], place: Any, loading: list[Future[list[Loaded | DetrtError]]]) -> list[Outcome]:
        """Run the network on what could be loaded, and put the outcomes back in order."""
        results = [result for future in loading for result in future.result()]
        loaded = [result for result in results if isinstance(result, Loaded)]
        found = iter(self._lane.run(place, loaded))
        self._free.append(place)
        return [
            self._outcome(item, result, next(found)) if isinstance(result, Loaded) else Outcome(item, error=result)
            for item, result in zip(items, results, strict=True)
        ]

    def _outcome(self, item: Item, loaded: Loaded, found: Detections | ImageError) -> Outcome:
        if isinstance(found, ImageError):
            return Outcome(item, error=found)
        try:
            pixels = (item.pixels() if loaded.pixels is None else loaded.pixels) if self._keep_pixels else None
        except ImageError as error:  # damage that a decoder chip has not seen
            return Outcome(item, error=error)
        return outcome_of(item, loaded.placement.photo, pixels, found)

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *_: object) -> None:
        """Drop what nobody waits for, wait for what is under way, and give the memory back."""
        if is_collecting_here():  # in a thread of its own, maybe, or in one that has what such a thread waits for
            threading.Thread(target=self._end).start()
        else:
            self._end()

    def _end(self) -> None:
        self._loaders.shutdown(wait=False, cancel_futures=True)
        self._runners.shutdown(wait=True, cancel_futures=True)
        self._loaders.shutdown(wait=True)
        self._lane.close()


def _loaded_or_error(lane: Lane[Any], place: Any, row: int, item: Item) -> Loaded | DetrtError:
    """Without the error's traceback: its frames would hold the photo for long."""
    try:
        return lane.load(place, row, item)
    except DetrtError as error:
        return error.with_traceback(None)
