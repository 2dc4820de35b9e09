"""A single call on stand-ins for GPU and engine: what a stream finds, and nothing of a call that failed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pytest

from detrt import Detector
from detrt.detections import Detections
from detrt.errors import ImageError
from detrt.images.read import Pixels
from detrt.images.sources import Item, PhotoBytes
from detrt.pipeline import device, instant
from detrt.pipeline.instant import InstantPath
from detrt.stages import StageTimes
from tests.pipeline.device_standin import HostJpegDecoder, lane_on_host
from tests.pipeline.photos import items, jpeg, photo
from tests.runtime.standin import StandInGpu


@pytest.fixture
def path(
    monkeypatch: pytest.MonkeyPatch, detector: Detector, gpu: StandInGpu, decoder: HostJpegDecoder | None
) -> InstantPath:
    def lane(detector: Detector, batch: int, times: StageTimes, *, alone: bool) -> device.DeviceLane:
        return lane_on_host(detector, gpu, batch, times, decoder, alone=alone)

    monkeypatch.setattr(instant, "device_lane_of", lane)
    return InstantPath(detector)


@pytest.mark.parametrize("count", [1, 4])
def test_a_single_call_finds_what_a_stream_finds(
    detector: Detector, gpu: StandInGpu, path: InstantPath, count: int
) -> None:
    good = [item for item in items() if item.name not in ("cut", "text", "spoilt")][:count]
    expected = detector.detect(good)
    for _ in range(3):
        found = path(good, room=5)
        assert found is not None
        assert len(found) == count
        for ours, theirs in zip(found, expected, strict=True):
            assert np.allclose(ours.boxes, theirs.boxes, atol=1e-3)
            assert np.allclose(ours.scores, theirs.scores, atol=1 / 255)
    with pytest.raises(ImageError, match="text is no image"):
        path([PhotoBytes(b"buy milk", "text")], room=5)
    for name in ("cut", "spoilt", "early end"):
        with pytest.raises(ImageError, match=f"{name} cannot be decoded"):
            path([item for item in items() if item.name == name], room=5)
    path.close()
    assert gpu.alive == {memory.pointer for memory in gpu.held}


@dataclass(frozen=True, eq=False)
class Slow:
    """A photo that is still being decoded when another one of its call fails."""

    begun: threading.Event
    call_is_over: threading.Event
    outlived: list[bool]
    name: str = "slow"

    def pixels(self) -> Pixels:
        self.begun.set()
        self.outlived.append(self.call_is_over.wait(0.2))
        return photo(0)


@dataclass(frozen=True, eq=False)
class Broken:
    """A photo that fails once another one is being decoded."""

    other_begun: threading.Event
    name: str = "broken"

    def pixels(self) -> Pixels:
        assert self.other_begun.wait(20)
        raise ImageError("broken cannot be decoded.", "Copy it again.")


@pytest.mark.parametrize("decoder", [None])  # a group for the chip is loaded by one thread
def test_a_call_that_fails_ends_when_all_its_photos_are_loaded(path: InstantPath) -> None:
    """Else one of them would come to lie in the rows of the next call."""
    begun, over, outlived = threading.Event(), threading.Event(), list[bool]()
    with pytest.raises(ImageError, match="broken"):
        path([Broken(begun), Slow(begun, over, outlived)], room=2)
    over.set()
    path.close()
    assert outlived == [False]


def test_photos_that_fail_one_after_the_other_leave_no_memory_behind(path: InstantPath, gpu: StandInGpu) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    cut = PhotoBytes(jpeg(noise)[:-5000], "cut")
    held = set()
    for _ in range(20):
        with pytest.raises(ImageError, match="cut cannot be decoded"):
            path([cut], room=1)
        held.add(gpu.held_bytes())
    assert len(held) == 1


@pytest.mark.parametrize("decoder", [None])
@pytest.mark.parametrize(("count", "rooms"), [(1, [4]), (4, [4]), (7, [7]), (17, [8, 8, 4])])
def test_an_engines_least_and_most_are_kept(
    monkeypatch: pytest.MonkeyPatch, detector: Detector, path: InstantPath, count: int, rooms: list[int]
) -> None:
    monkeypatch.setattr(detector.runtime, "session", None, raising=False)  # there is a device path
    monkeypatch.setattr(detector, "least_batch", 4)
    monkeypatch.setattr(detector, "most_batch", 8)
    asked, call = list[int](), InstantPath.__call__

    def noted(self: InstantPath, items: Sequence[Item], *, room: int) -> list[Detections] | None:
        asked.append(room)
        return call(self, items, room=room)

    monkeypatch.setattr(InstantPath, "__call__", noted)
    found = detector.detect([photo(10 * number) for number in range(count)])
    scores = [float(one.scores[0]) for one in found]
    assert len(scores) == count
    assert scores == sorted(set(scores))
    assert asked == rooms


@pytest.mark.parametrize("decoder", [None])
def test_threads_that_come_first_at_once_share_one_path(
    monkeypatch: pytest.MonkeyPatch, detector: Detector, gpu: StandInGpu, path: InstantPath
) -> None:
    monkeypatch.setattr(detector.runtime, "session", None, raising=False)  # there is a device path
    both, made, new = threading.Barrier(2), list[InstantPath](), InstantPath.__init__

    def slow(self: InstantPath, detector: Detector) -> None:
        made.append(self)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)  # another thread that is let in comes here as well
        new(self, detector)

    monkeypatch.setattr(InstantPath, "__init__", slow)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(detector, [photo(50)] * 2))
    assert len(made) == 1
    assert found[0].scores[0] == found[1].scores[0]
