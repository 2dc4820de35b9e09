"""What is done with nvJPEG's answers, which a stand-in gives: the chip itself is for tests/gpu."""

from __future__ import annotations

import ctypes
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detrt.errors import ImageError
from detrt.images.gpu import nvjpeg
from detrt.images.gpu.jpeg import EncodedJpeg
from detrt.images.gpu.nvjpeg import NvJpeg
from detrt.images.jpeg_segments import header_of
from tests.runtime.standin import StandInGpu

UNSUPPORTED, DAMAGED = b"the chip cannot", b"the chip fails"


class Chip:
    """Answers as the library does, and writes the number of each file into its picture's first byte."""

    def __init__(self, *, there: bool = True) -> None:
        self.there, self.ready_for, self.batches = there, 0, list[int]()

    def nvjpegCreateEx(self, backend: int, device: None, pinned: None, flags: int, handle: Any) -> int:  # noqa: N802
        if self.there:
            ctypes.cast(handle, ctypes.POINTER(ctypes.c_void_p))[0] = 1
        return 0 if self.there else 7

    def nvjpegJpegStreamParseHeader(self, handle: Any, file: int, size: int, header: Any) -> int:  # noqa: N802
        self._header = ctypes.string_at(file, size)
        return 0

    def nvjpegDecodeBatchedSupported(self, handle: Any, header: Any, cannot: Any) -> int:  # noqa: N802
        cannot._obj.value = int(UNSUPPORTED in self._header)
        return 0

    def nvjpegJpegStreamGetFrameDimensions(self, header: Any, width: Any, height: Any) -> int:  # noqa: N802
        found = header_of(self._header)
        if found:
            height._obj.value, width._obj.value = found.size
        return 0 if found else 3

    def nvjpegDecodeBatchedInitialize(self, handle: Any, state: Any, count: int, threads: int, form: int) -> int:  # noqa: N802
        self.ready_for = count
        return 0

    def nvjpegDecodeBatched(self, handle: Any, state: Any, data: Any, sizes: Any, images: Any, stream: int) -> int:  # noqa: N802
        assert len(data) == self.ready_for
        self.batches.append(len(data))
        for number, image in enumerate(images):
            ctypes.memset(image.channel[0], number + 1, 1)
        if any(DAMAGED in ctypes.string_at(*file) for file in zip(data, sizes, strict=True)):
            self.ready_for = 0
            return 6
        return 0

    def __getattr__(self, name: str) -> Any:
        assert name.startswith("nvjpeg"), name
        return lambda *_: 0


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    made = Chip()
    monkeypatch.setattr(nvjpeg, "_library", lambda: made)
    return made


@pytest.fixture
def gpu() -> StandInGpu:
    return StandInGpu()


@pytest.fixture
def decoder(chip: Chip, gpu: StandInGpu) -> Iterator[NvJpeg]:
    with NvJpeg(gpu) as made:
        yield made


def jpeg(height: int, width: int, comment: bytes = b"") -> EncodedJpeg:
    file = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(file, "JPEG", comment=comment)
    return in_memory(file.getvalue())


def in_memory(file: bytes) -> EncodedJpeg:
    """Where it lies as long as the tests run."""
    kept.append(ctypes.create_string_buffer(file, len(file)))
    return EncodedJpeg(ctypes.addressof(kept[-1]), len(file))


kept: list[ctypes.Array[ctypes.c_char]] = []


def test_each_picture_has_its_own_place(decoder: NvJpeg, chip: Chip) -> None:
    found = decoder([jpeg(30, 40), jpeg(10, 21), jpeg(50, 5)], 7)
    assert [image.size for image in found if image] == [(30, 40), (10, 21), (50, 5)]
    assert [ctypes.c_ubyte.from_address(image.pointer).value for image in found if image] == [1, 2, 3]
    ends = [image.pointer + image.pitch * image.size[0] for image in found if image]
    assert all(end <= after.pointer for end, after in zip(ends, found[1:], strict=False) if after)


def test_what_the_chip_does_not_take_is_left_to_others(decoder: NvJpeg, chip: Chip) -> None:
    found = decoder([jpeg(8, 8), jpeg(8, 8, UNSUPPORTED), in_memory(b"no JPEG"), jpeg(9, 9)], 7)
    assert [image and image.size for image in found] == [(8, 8), None, None, (9, 9)]
    assert chip.batches == [2]
    assert decoder([jpeg(8, 8, UNSUPPORTED)], 7) == [None]


def test_a_group_that_fails_is_left_to_others_and_the_next_begins_anew(decoder: NvJpeg, chip: Chip) -> None:
    assert decoder([jpeg(8, 8), jpeg(8, 8, DAMAGED)], 7) == [None, None]
    assert [image and image.size for image in decoder([jpeg(8, 8), jpeg(9, 9)], 7)] == [(8, 8), (9, 9)]


def test_memory_grows_with_the_largest_group_and_goes_back(chip: Chip, gpu: StandInGpu) -> None:
    with NvJpeg(gpu) as decoder:
        for size in (8, 200, 16, 100):
            decoder([jpeg(size, size)] * 2, 7)
            assert len(gpu.alive) == 1
    assert not gpu.alive


def test_a_gpu_without_the_chip_is_named(chip: Chip, gpu: StandInGpu) -> None:
    chip.there = False
    with pytest.raises(ImageError, match=f"{gpu.name} has no JPEG decoder chip"):
        NvJpeg(gpu)
