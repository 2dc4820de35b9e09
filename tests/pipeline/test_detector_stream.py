"""`Detector.stream` and its asyncio twin, as a program uses them."""

from __future__ import annotations

import asyncio
import io
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detrt import Detector
from detrt.detector import Source
from detrt.errors import DetrtError, ImageError
from detrt.images.read import Pixels


def png(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 10), (level, level, level)).save(file, "PNG")
    return file.getvalue()


def level_of(score: float) -> int:
    return round((score - 0.9) * 255)


def test_bytes_paths_and_pixels_are_photos(detector: Detector, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(3))
    photos: list[Source] = [png(1), np.full((10, 20, 3), 2, np.uint8), tmp_path / "a.png", str(tmp_path / "a.png")]
    assert [level_of(found.scores[0]) for found in detector.stream(photos, batch=2)] == [1, 2, 3, 3]
    assert [level_of(found.scores[0]) for found in detector.detect(photos)] == [1, 2, 3, 3]


def test_a_broken_photo_ends_the_stream_at_its_turn(detector: Detector) -> None:
    stream = detector.stream([png(1), b"no photo", png(3)])
    assert level_of(next(stream).scores[0]) == 1
    with pytest.raises(ImageError, match="is no image"):
        next(stream)


def test_or_is_told_and_has_no_detections(detector: Detector) -> None:
    told: list[tuple[str, DetrtError]] = []
    found = list(detector.stream([png(1), b"no photo", png(3)], on_error=lambda *error: told.append(error)))
    assert [len(one) for one in found] == [3, 0, 3]
    assert [name for name, _ in told] == ["the photo"]


def test_asyncio_goes_on_while_the_network_runs(detector: Detector) -> None:
    async def both() -> tuple[list[int], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        levels = [level_of(found.scores[0]) async for found in detector.detections(map(png, range(20)), batch=4)]
        ticking.cancel()
        return levels, ticks

    levels, ticks = asyncio.run(both())
    assert levels == list(range(20))
    assert ticks > 10


def test_leaving_an_async_stream_early_ends_its_threads(detector: Detector) -> None:
    async def first() -> int:
        stream = detector.detections(map(png, range(100)))
        async for found in stream:
            await stream.aclose()
            return level_of(found.scores[0])
        raise AssertionError

    assert asyncio.run(first()) == 0


def test_a_cancelled_async_stream_ends_with_the_photo_in_hand(detector: Detector) -> None:
    begun, released = threading.Event(), threading.Event()

    @dataclass(frozen=True)
    class Slow:
        name: str = "slow"

        def pixels(self) -> Pixels:
            begun.set()
            assert released.wait(20)
            return np.zeros((9, 9, 3), np.uint8)

    async def take_all() -> None:
        async for _ in detector.detections([Slow()] * 3):
            pass

    async def cancelled() -> None:
        task = asyncio.create_task(take_all())
        await asyncio.to_thread(begun.wait)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=0.1)
        assert not done  # since the photo in hand is not
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("detrt-")]
