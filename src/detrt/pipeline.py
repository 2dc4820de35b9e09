"""A stream of photos through a detector: threads decode and resize the next batches while the network runs this one."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from detrt.detections import Detections
from detrt.detector import Detector
from detrt.errors import DetrtError, NonFiniteError
from detrt.images.preprocess import Batch
from detrt.images.read import Pixels
from detrt.images.resize import Placement
from detrt.images.sources import Item
from detrt.stages import StageTimes

BATCHES_AHEAD = 2
"""Batches that are decoded before their turn: one being filled while one waits."""


@dataclass(frozen=True)
class Outcome:
    """What became of one item: detections, or the error that names why there are none."""

    item: Item
    pixels: Pixels | None = None
    detections: Detections | None = None
    error: DetrtError | None = None


@dataclass(frozen=True)
class _Ready:
    pixels: Pixels
    placement: Placement


@dataclass(frozen=True)
class _Group:
    items: list[Item]
    rows: Batch
    ready: list[Future[_Ready]]


def detect_stream(
    detector: Detector,
    items: Iterable[Item],
    *,
    batch: int = 1,
    workers: int | None = None,
    times: StageTimes | None = None,
) -> Iterator[Outcome]:
    """Detect in every item, in order, with bounded memory.

    An item that cannot be decoded, or whose results are not finite, fails alone: its outcome carries the error.

    Args:
        detector: runs in the caller's thread.
        items: may be endless; taken no further ahead than needed.
        batch: photos a run of the network.
        workers: threads that decode and resize; as many as there are cores, 8 at most, where it is left out.
        times: filled with the stages `decode`, `resize` (in the threads), `infer` and `boxes`.
    """
    times = times or StageTimes()
    remaining = iter(items)
    waiting: deque[_Group] = deque()
    spare = [detector.preprocessor.batch(batch) for _ in range(BATCHES_AHEAD + 1)]
    pool = ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1), thread_name_prefix="detrt-decode")
    try:
        while True:
            while spare and (group := list(islice(remaining, batch))):
                rows = spare.pop()
                ready = [
                    pool.submit(_prepare, detector, item, row, times) for item, row in zip(group, rows, strict=False)
                ]
                waiting.append(_Group(group, rows, ready))
            if not waiting:
                return
            group_done = waiting.popleft()
            yield from _finish(detector, group_done, times)
            spare.append(group_done.rows)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare(detector: Detector, item: Item, row: Batch, times: StageTimes) -> _Ready:
    with times.stage("decode"):
        pixels = item.pixels()
    with times.stage("resize"):
        return _Ready(pixels, detector.preprocessor.fill(row, pixels))


def _finish(detector: Detector, group: _Group, times: StageTimes) -> list[Outcome]:
    """Run the network on what could be decoded, and put the outcomes back in order."""
    readied = [_result_of(future) for future in group.ready]
    good = [index for index, ready in enumerate(readied) if isinstance(ready, _Ready)]
    placements = [ready.placement for ready in readied if isinstance(ready, _Ready)]
    found: dict[int, Detections] = {}
    if good:
        with times.stage("infer"):
            rows = group.rows[: len(good)] if len(good) == len(group.items) else group.rows[good]
            outputs = detector.infer(rows, placements)
        with times.stage("boxes"):
            found = dict(zip(good, detector.decode(outputs, placements), strict=True))
    times.images += len(group.items)
    return [
        _outcome(item, ready, found.get(index))
        for index, (item, ready) in enumerate(zip(group.items, readied, strict=True))
    ]


def _result_of(future: Future[_Ready]) -> _Ready | DetrtError:
    try:
        return future.result()
    except DetrtError as error:
        return error


def _outcome(item: Item, ready: _Ready | DetrtError, detections: Detections | None) -> Outcome:
    if isinstance(ready, DetrtError):
        return Outcome(item, error=ready)
    assert detections is not None
    if not detections.is_finite():
        return Outcome(item, ready.pixels, error=_non_finite(item, detections))
    return Outcome(item, ready.pixels, detections)


def _non_finite(item: Item, detections: Detections) -> NonFiniteError:
    bad = sum(not row.is_finite() for row in (detections.select([i]) for i in range(len(detections))))
    return NonFiniteError(
        f"The model gave NaN or infinity in {bad} of {len(detections)} detections of {item.name}.",
        "Its numbers overflow: build it with --precision fp32, or look for the layer with a full-precision copy.",
    )
