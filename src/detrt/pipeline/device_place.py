"""Where the photos of one group lie on their way to the GPU: pinned and device memory that is used again and again."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detrt.images.gpu.preprocess import PHOTO, PhotoOnDevice, describe
from detrt.images.read import Pixels
from detrt.images.resize import Placement
from detrt.images.sources import Item
from detrt.runtime.device import DeviceArray
from detrt.runtime.gpu import Gpu, Memory

_LEAST = 1 << 20  # bytes of a row: 640x480 RGB and a little


class DevicePlace:
    """Room for a group of photos.

    Attributes:
        rows: one a photo.
        stream: what brings the photos to the GPU, beside the network that runs on others.
    """

    def __init__(self, gpu: Gpu, batch: int) -> None:
        self._gpu = gpu
        self._stream = gpu.stream()
        self.stream = self._stream.handle
        self.rows = [PhotoRow(gpu, self.stream) for _ in range(batch)]
        self._table = Mirrored(gpu, batch * PHOTO.itemsize)
        self._sizes = gpu.pin(batch * 2 * np.dtype(np.int64).itemsize)
        self._results: dict[str, Memory] = {}

    def send_table(self) -> int:
        """Enqueue the kernel's records of all rows; their device address."""
        describe([row.photo for row in self.rows], self._table.view(PHOTO, (len(self.rows),)))
        return self._table.send(self.stream)

    def sizes(self, sizes: npt.NDArray[np.int64], rows: Sequence[int]) -> npt.NDArray[np.int64]:
        """`orig_target_sizes` of every row, in pinned memory, from those (N, 2) of some rows; the others get 1x1."""
        view = pinned_view(self._sizes, np.dtype(np.int64), (len(self.rows), 2))
        view[:] = 1
        view[rows] = sizes
        return view

    def result(self, name: str, array: DeviceArray) -> npt.NDArray[Any]:
        """Pinned memory for an output of the network."""
        memory = self._results.get(name)
        if memory is None or memory.nbytes < array.nbytes:
            memory = self._results[name] = self._gpu.pin(array.nbytes)
        return pinned_view(memory, np.dtype(array.dtype), array.shape)

    def synchronize(self) -> None:
        """Wait until everything that was enqueued is done."""
        self._gpu.synchronize(self.stream)

    def clear(self) -> None:
        """Forget the photos; their memory stays."""
        for row in self.rows:
            row.photo = row.file = row.item = None

    def close(self) -> None:
        """Give the memory back."""
        self._stream.synchronize()
        for row in self.rows:
            row.close()
        self._table.close()
        for memory in (self._sizes, *self._results.values()):
            memory.close()
        self._stream.close()


class PhotoRow:
    """Room for one photo, made larger when a larger one comes.

    Attributes:
        photo: what lies here on the device.
        file: a JPEG that is to be decoded on the device.
        item: what it is of.
    """

    def __init__(self, gpu: Gpu, stream: int) -> None:
        self._gpu, self._stream = gpu, stream
        self._memory: Mirrored | None = None
        self.photo: PhotoOnDevice | None = None
        self.file: bytes | None = None
        self.item: Item | None = None

    def room(self, height: int, width: int) -> Pixels:
        """Pinned host memory for a photo, (h, w, 3) uint8, to decode into before `send`."""
        needed = 3 * height * width
        if self._memory is None or self._memory.nbytes < needed:
            self.close()
            self._memory = Mirrored(self._gpu, max(_LEAST, 1 << (needed - 1).bit_length()))
        room: Pixels = self._memory.view(np.dtype(np.uint8), (height, width, 3))
        return room

    def send(self, placement: Placement) -> None:
        """Enqueue what was written into `room` to the device."""
        assert self._memory is not None
        height, width = placement.photo
        self.photo = PhotoOnDevice(self._memory.send(self._stream, 3 * height * width), 3 * width, placement)

    def close(self) -> None:
        """Give the memory back."""
        if self._memory:
            self._memory.close()


class Mirrored:
    """A piece of pinned host memory and one as large on the device."""

    def __init__(self, gpu: Gpu, nbytes: int) -> None:
        self._gpu, self.nbytes = gpu, nbytes
        self._host: Memory = gpu.pin(nbytes)
        self._device: Memory = gpu.allocate(nbytes)

    def view(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """The start of the host's side as an array."""
        return pinned_view(self._host, dtype, shape)

    def send(self, stream: int, nbytes: int | None = None) -> int:
        """Enqueue the copy to the device; the address there."""
        self._gpu.copy(self._device.pointer, self._host.pointer, self.nbytes if nbytes is None else nbytes, stream)
        return self._device.pointer

    def close(self) -> None:
        """Free both."""
        self._host.close()
        self._device.close()


def pinned_view(memory: Memory, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Host memory as an array; valid as long as the memory lives."""
    nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    assert nbytes <= memory.nbytes
    return np.frombuffer(memoryview((ctypes.c_byte * nbytes).from_address(memory.pointer)), dtype).reshape(shape)
