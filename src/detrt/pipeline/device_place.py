"""Where the photos of one group lie on their way to the GPU: pinned and device memory that is used again and again."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from detrt.decoding import fed_size
from detrt.images.gpu.jpeg import EncodedJpeg
from detrt.images.gpu.preprocess import PHOTO, PhotoOnDevice, describe
from detrt.images.gpu.run_out import RunOut
from detrt.images.read import Pixels
from detrt.images.resize import Placement
from detrt.images.sources import Item
from detrt.runtime.block import PinnedCopy, view
from detrt.runtime.device import DeviceArray
from detrt.runtime.gpu import Gpu, Graph, Memory, Stream

_USUAL = 1 << 20
"""Bytes that a photo usually needs: 640x480 RGB and a little."""

END = 32
"""Pixels at the right end of a photo's last line."""

_ALIGNED = 256
"""Where pieces begin, as far as the GPU and its copies care."""


class Event(Protocol):
    """A point in a stream that a thread or another stream can wait for."""

    def record(self, stream: int) -> None:
        """Enqueue it."""
        ...

    def hold(self, stream: int) -> None:
        """Let another stream wait for it."""
        ...

    def synchronize(self) -> None:
        """Wait until it has passed."""
        ...


class DevicePlace:
    """Room for a group of photos.

    Attributes:
        rows: one a photo.
        stream: what brings the photos to the GPU.
        done: the results are on the host.
        table: the kernel's record of every row.
        sizes: `orig_target_sizes` of every row, (N, 2) int64.
        results: where the network's outputs come to lie.
        round: everything from `table` and `sizes` to `results`, where it was recorded.
    """

    def __init__(
        self,
        gpu: Gpu,
        batch: int,
        event: Callable[[], Event],
        outputs: Mapping[str, DeviceArray],
        stream: int | None = None,
    ) -> None:
        """Allocate.

        Args:
            gpu: where.
            batch: photos.
            event: makes events.
            outputs: of the network.
            stream: to bring the photos on; one of the place's own, beside the network, where it is left out.
        """
        self._gpu = gpu
        self._arrived, self.done = event(), event()
        self._own_stream: Stream | None = None
        if stream is None:
            self._own_stream = gpu.stream()
            stream = self._own_stream.handle
        self.stream = stream
        self._room = Room(gpu, self.stream, batch * _USUAL)
        self.rows = [PhotoRow(self._room) for _ in range(batch)]
        self.table = Mirrored(gpu, batch * PHOTO.itemsize)
        self._records = self.table.view(PHOTO, (batch,))
        self._ends = PinnedArray(gpu, (batch, END, 3), "uint8")
        self.sizes = PinnedArray(gpu, (batch, 2), "int64")
        self.results = PinnedCopy(gpu, outputs)
        self.round: Graph | None = None

    def describe(self, rows: Sequence[int], placements: Sequence[Placement]) -> None:
        """Write the records of all rows into `table`, and into `sizes` those of some; the others get 1x1."""
        describe([row.photo for row in self.rows], self._records)
        sizes = self.sizes.array
        sizes[:] = 1
        for row, placement in zip(rows, placements, strict=True):
            sizes[row] = fed_size(placement)

    def hold(self, stream: int) -> None:
        """Let what is enqueued on another stream from now on wait for the photos."""
        if stream != self.stream:
            self._arrived.record(self.stream)
            self._arrived.hold(stream)

    def keep_end(self, row: int, photo: PhotoOnDevice, stream: int) -> None:
        """Enqueue the last pixels of a row's photo to the host, as they lie somewhere."""
        height, width = photo.placement.photo
        last = photo.pointer + (height - 1) * photo.pitch + 3 * max(0, width - END)
        self._gpu.copy(self._ends.pointer + 3 * END * row, last, 3 * min(width, END), stream)

    def ends_flat(self, row: int) -> bool:
        """Whether the last pixels of a row's photo are all alike, once they have arrived."""
        photo = self.rows[row].photo
        count = min(photo.placement.photo[1], END) if photo else 0
        ends = self._ends.array[row, :count].tobytes()
        return ends == ends[:3] * count

    def clear(self) -> None:
        """Forget the photos; their memory stays."""
        for row in self.rows:
            row.photo = row.file = row.content = row.item = None
        self._room.clear()

    def close(self) -> None:
        """Give the memory back."""
        self._gpu.synchronize(self.stream)
        if self.round:
            self.round.close()
        self._room.close()
        self.table.close()
        for array in (self._ends, self.sizes, self.results):
            array.close()
        if self._own_stream:
            self._own_stream.close()


class PhotoRow:
    """One photo of the group.

    Attributes:
        photo: what lies on the device.
        file: a JPEG that is to be decoded on the device, in pinned memory.
        content: it, as it came.
        item: what it is of.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._piece: Piece | None = None
        self.photo: PhotoOnDevice | None = None
        self.file: EncodedJpeg | None = None
        self.content: bytes | None = None
        self.item: Item | None = None

    def room(self, height: int, width: int) -> Pixels:
        """Pinned host memory for a photo, (h, w, 3) uint8, to decode into before `send`."""
        self._piece = self._room.take(3 * height * width)
        pixels: Pixels = self._piece.view((height, width, 3))
        return pixels

    def keep(self, file: bytes, run_out: RunOut) -> None:
        """Copy a JPEG to where a decoder on the device takes it from without waiting."""
        end, tail = run_out
        piece = self._room.take(end + len(tail))
        ctypes.memmove(piece.pointer, file, end)
        ctypes.memmove(piece.pointer + end, tail, len(tail))
        self.file, self.content = EncodedJpeg(piece.pointer, piece.nbytes), file

    def send(self, placement: Placement) -> None:
        """Enqueue what was written into `room` to the device."""
        assert self._piece is not None
        self.photo = PhotoOnDevice(self._piece.send(), 3 * placement.photo[1], placement)


class Room:
    """Pinned host memory and as much on the device, given out piece by piece to the photos of a group.

    It grows to what the largest group needed and then stays: giving memory back and taking it anew stops the whole GPU.
    """

    def __init__(self, gpu: Gpu, stream: int, nbytes: int) -> None:
        self._gpu, self._stream, self._usual = gpu, stream, nbytes
        self._blocks: list[Mirrored] = []
        self._taken: list[int] = []
        self._lock = threading.Lock()

    def take(self, nbytes: int) -> Piece:
        """A piece that is the caller's own until `clear`; safe from several threads."""
        with self._lock:
            for number, block in enumerate(self._blocks):
                start = self._taken[number]
                if start + nbytes <= block.nbytes:
                    break
            else:
                number, start = len(self._blocks), 0
                block = Mirrored(self._gpu, max(self._usual, nbytes))
                self._blocks.append(block)
                self._taken.append(0)
            self._taken[number] = -(-(start + nbytes) // _ALIGNED) * _ALIGNED
        return Piece(block, start, nbytes, self._stream)

    def clear(self) -> None:
        """Take every piece back."""
        self._taken = [0] * len(self._blocks)

    def close(self) -> None:
        """Give the memory back."""
        for block in self._blocks:
            block.close()
        self._blocks.clear()
        self._taken.clear()


@dataclass(frozen=True)
class Piece:
    """So many bytes of a block, from `start` on."""

    block: Mirrored
    start: int
    nbytes: int
    stream: int

    @property
    def pointer(self) -> int:
        """The host's side."""
        return self.block.pointer + self.start

    def view(self, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """The host's side, uint8."""
        return self.block.view(np.dtype(np.uint8), shape, self.start)

    def send(self) -> int:
        """Enqueue the copy to the device; the address there."""
        return self.block.send(self.stream, self.nbytes, self.start)


class Mirrored:
    """A piece of pinned host memory and one as large on the device."""

    def __init__(self, gpu: Gpu, nbytes: int) -> None:
        self._gpu, self.nbytes = gpu, nbytes
        self._host: Memory = gpu.pin(nbytes)
        self.pointer = self._host.pointer
        self._device: Memory = gpu.allocate(nbytes)

    def view(self, dtype: np.dtype[Any], shape: tuple[int, ...], start: int = 0) -> npt.NDArray[Any]:
        """The host's side from a byte on, as an array."""
        assert start + math.prod(shape) * dtype.itemsize <= self.nbytes
        return view(self.pointer + start, shape, dtype)

    def send(self, stream: int, nbytes: int | None = None, start: int = 0) -> int:
        """Enqueue the copy of so many bytes from one on to the device; their address there."""
        target = self._device.pointer + start
        self._gpu.copy(target, self.pointer + start, self.nbytes if nbytes is None else nbytes, stream)
        return target

    def close(self) -> None:
        """Free both."""
        self._host.close()
        self._device.close()


class PinnedArray:
    """Pinned host memory as an array, looked at once and for all: making a view takes longer than a copy."""

    def __init__(self, gpu: Gpu, shape: tuple[int, ...], dtype: str) -> None:
        kind = np.dtype(dtype)
        self.nbytes = math.prod(shape) * kind.itemsize
        self._memory = gpu.pin(self.nbytes)
        self.pointer = self._memory.pointer
        self.array = view(self.pointer, shape, kind)

    def close(self) -> None:
        """Free it."""
        self._memory.close()
