"""The stream keeps order, bounds what it holds, and lets one photo fail alone."""

from __future__ import annotations

import gc
import itertools
import os
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from detrt import Detector
from detrt.detections import Detections
from detrt.errors import ImageError, ModelError, NonFiniteError, UsageError
from detrt.graph.onnx_file import save
from detrt.images import Pixels
from detrt.images.resize import Placement
from detrt.images.sources import Item
from detrt.pipeline.lane import Loaded
from detrt.pipeline.outcome import Outcome
from detrt.pipeline.stream import BATCHES_AHEAD, detect_stream
from detrt.stages import StageTimes
from tests import tiny


@dataclass
class Canned:
    """An item of a given grey level, slow to decode or broken if wished."""

    level: int
    broken: bool = False
    delay: float = 0.0

    @property
    def name(self) -> str:
        return f"item {self.level}"

    def pixels(self) -> Pixels:
        time.sleep(self.delay)
        if self.broken:
            raise ImageError(f"{self.name} is broken.", "Mend it.")
        return np.full((10, 10, 3), self.level, np.uint8)


def level_of(score: float) -> int:
    return round((score - 0.9) * 255)


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_order_is_kept_whatever_takes_how_long(detector: Detector, batch: int) -> None:
    items = [Canned(level, delay=0.01 * (level % 3 == 0)) for level in range(23)]
    outcomes = list(detect_stream(detector, items, batch=batch, workers=4))
    assert [outcome.item for outcome in outcomes] == items
    assert [level_of(o.detections.scores[0]) for o in outcomes if o.detections] == list(range(23))


@pytest.mark.parametrize("batch", [1, 4])
def test_a_broken_item_fails_alone(detector: Detector, batch: int) -> None:
    items = [Canned(level, broken=level in (2, 5, 6)) for level in range(9)]
    outcomes = list(detect_stream(detector, items, batch=batch))
    assert [outcome.item.name for outcome in outcomes if outcome.error] == ["item 2", "item 5", "item 6"]
    good = [level_of(o.detections.scores[0]) for o in outcomes if o.detections]
    assert good == [0, 1, 3, 4, 7, 8]


def test_a_broken_item_is_gone_with_its_outcome(detector: Detector) -> None:
    """No cycle holds it until the garbage collector comes round: one photo in a hundred adds up."""
    gone: list[weakref.ref[Canned]] = []

    def source() -> Iterator[Canned]:
        for level in range(40):
            item = Canned(level, broken=level % 2 == 0)
            gone.append(weakref.ref(item))
            yield item

    gc.collect()
    gc.disable()
    try:
        for outcome in detect_stream(detector, source(), batch=3):
            assert (outcome.error is None) == bool(outcome.detections)
        del outcome
        time.sleep(0.1)  # for threads to let go of their last
        assert not [level for level, item in enumerate(gone) if item() is not None]
    finally:
        gc.enable()


def test_a_batch_of_broken_items_runs_nothing(detector: Detector) -> None:
    outcomes = list(detect_stream(detector, [Canned(1, broken=True), Canned(2, broken=True)], batch=2))
    assert all(outcome.error for outcome in outcomes)


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_of_nothing_is_refused(detector: Detector, batch: int) -> None:
    with pytest.raises(UsageError, match=f"The batch is {batch}"):
        next(detect_stream(detector, [Canned(0)], batch=batch))


def test_an_endless_source_is_taken_no_further_than_needed(detector: Detector) -> None:
    taken: list[int] = []

    def source() -> Iterator[Canned]:
        for level in itertools.count():
            taken.append(level)
            yield Canned(level % 256)

    stream = detect_stream(detector, source(), batch=4)
    assert len(list(itertools.islice(stream, 8))) == 8
    assert len(taken) <= 8 + 4 * ((os.cpu_count() or 1) + BATCHES_AHEAD)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("detrt-")]


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_a_source_that_fails_is_told_of_after_what_it_gave(detector: Detector, batch: int) -> None:
    def source() -> Iterator[Canned]:
        yield from map(Canned, range(12))
        raise RuntimeError("the camera is gone")

    outcomes = list[Outcome]()
    with pytest.raises(RuntimeError, match="the camera is gone"):
        outcomes.extend(detect_stream(detector, source(), batch=batch))
    assert [level_of(o.detections.scores[0]) for o in outcomes if o.detections] == list(range(12))


def test_nan_is_an_error_that_names_the_photo(tmp_path: Path) -> None:
    boxes = np.full((4, 4), 0.5)
    boxes[2, 1] = np.nan
    save(tiny.raw_model(np.zeros((4, 3)), boxes), tmp_path / "nan.onnx")
    with Detector.open(tmp_path / "nan.onnx") as broken:
        (outcome,) = detect_stream(broken, [Canned(3)])
    assert isinstance(outcome.error, NonFiniteError)
    assert "3 of 12 detections of item 3" in outcome.error.problem


def test_a_model_that_fails_stops_the_stream(detector: Detector) -> None:
    detector.contract = detector.contract.replaced(input_name="pixels")
    with pytest.raises(ModelError, match="ONNX Runtime failed"):
        list(detect_stream(detector, [Canned(1)]))


def test_every_stage_is_timed(detector: Detector) -> None:
    times = StageTimes()
    list(detect_stream(detector, map(Canned, range(3)), times=times))
    assert list(times.per_image()) == ["decode", "resize", "infer", "boxes"]
    assert times.images == 3


class Turnstile:
    """A lane all of whose runs need a lock, as those of an engine do."""

    runners, loads_together = 1, False

    def __init__(self, turn: threading.Lock) -> None:
        self._turn = turn
        self.waits, self.closed = threading.Event(), threading.Event()
        self.came_through: list[bool] = []

    def place(self) -> None: ...

    def load(self, place: None, row: int, item: Item) -> Loaded:
        item.pixels()
        return Loaded(row, Placement((10, 10), (10, 10), (10, 10)))

    def run(self, place: None, loaded: Sequence[Loaded]) -> list[Detections | ImageError]:
        if loaded:
            self.waits.set()
            self.came_through.append(self._turn.acquire(timeout=2))
            if self.came_through[-1]:
                self._turn.release()
        return [Detections.empty() for _ in loaded]

    def use(self) -> None: ...

    def close(self) -> None:
        self.closed.set()


def test_a_stream_that_is_found_as_garbage_makes_nobody_wait(detector: Detector) -> None:
    """Who finds it may hold what its threads wait for: a collection comes over a thread anywhere."""
    turn = threading.Lock()
    lane = Turnstile(turn)
    with turn:
        stream = detect_stream(detector, [Canned(0, broken=True), Canned(1)], lane=lane, keep_pixels=False)
        assert next(stream).error
        assert lane.waits.wait(20)
        cycle: list[object] = [stream]
        cycle.append(cycle)
        del stream, cycle
        gc.collect()
        assert not lane.closed.is_set()
    assert lane.closed.wait(20)
    assert lane.came_through == [True]
