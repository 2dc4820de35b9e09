"""A GPU, an engine and the kernel on the host, so that the device's lane can be tested where there is no GPU.

The engine is ONNX Runtime on the stand-in's memory, the kernel its arithmetic in NumPy.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg

from detrt.contract import ModelContract
from detrt.detector import Detector
from detrt.images.fixed_point import resize_fixed_point
from detrt.images.gpu.jpeg import DecodedJpeg, EncodedJpeg
from detrt.images.gpu.preprocess import PHOTO
from detrt.images.preprocess import Preprocessor
from detrt.images.resize import Placement
from detrt.pipeline.device import DeviceLane
from detrt.pipeline.station import Station
from detrt.runtime.block import DeviceBlock
from detrt.runtime.device import DeviceArray
from detrt.runtime.turns import Turn, Turns
from detrt.stages import StageTimes
from tests.runtime.standin import StandInGpu, StandInGraph, StandInMemory


class HostSession:
    """A `DeviceSession` of any detector's runtime; only what a station calls. It runs in its turn alone."""

    def __init__(self, detector: Detector, gpu: StandInGpu, turns: Turns) -> None:
        self._runtime, self._gpu, self._turns = detector.runtime, gpu, turns
        stream = gpu.stream()
        self.stream = stream.handle
        self.turn = Turn(turns, stream.synchronize)
        self.inputs: dict[str, DeviceArray] = {}
        self.outputs: dict[str, DeviceArray] = {}
        self.closed = False

    def shape(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        if {name: array.shape for name, array in self.inputs.items()} == shapes:
            return
        self._require_turn()
        blank = {spec.name: np.zeros(shapes[spec.name], spec.dtype) for spec in self._runtime.inputs}
        self.inputs = {name: self._gpu.put(value) for name, value in blank.items()}
        made = self._runtime.run(blank)
        self._block = DeviceBlock(self._gpu, {name: (value.shape, value.dtype.name) for name, value in made.items()})
        self.outputs = self._block.tensors

    def within(self, before: Callable[[int], None], after: Callable[[int], None]) -> StandInGraph:
        """Recorded by the stand-in for a GPU, so what is enqueued once has to serve for every launch."""
        self._require_turn()

        def work() -> None:
            before(self.stream)
            self._gpu.enqueue(self._run)
            after(self.stream)

        return self._gpu.capture(self.stream, work)

    def _require_turn(self) -> None:
        assert self._turns.lock.locked()
        assert self._turns.last is self.turn

    def _run(self) -> None:
        self._require_turn()
        outputs = self._runtime.run({name: array_at(array).copy() for name, array in self.inputs.items()})
        for name, value in outputs.items():
            array_at(self.outputs[name])[...] = value

    def close(self) -> None:
        assert not self.closed
        self.closed = True
        self.turn.end()
        if self.outputs:
            self._block.close()

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a station called {name}")


class HostEvent:
    """Everything is done as it is enqueued, so it has passed as soon as it was recorded."""

    def __init__(self) -> None:
        self._recorded = False

    def record(self, stream: int) -> None:
        self._recorded = True

    def hold(self, stream: int) -> None:
        assert self._recorded

    def synchronize(self) -> None:
        assert self._recorded
        self._recorded = False  # who waits again without recording again would not wait at all


class HostKernel:
    """The preprocessing kernel in NumPy."""

    def __init__(self, contract: ModelContract, gpu: StandInGpu) -> None:
        self._contract, self._gpu = contract, gpu
        self._preprocessor = Preprocessor(contract)

    def __call__(self, photos: int, count: int, target: DeviceArray, stream: int) -> None:
        self._gpu.enqueue(lambda: self._make(photos, count, target))

    def _make(self, photos: int, count: int, target: DeviceArray) -> None:
        table = array_at(DeviceArray(photos, (count * PHOTO.itemsize,), "uint8")).view(PHOTO)
        for record, row in zip(table, array_at(target), strict=True):
            if not record["pixels"]:
                row[...] = np.nan  # nobody may look at it
                continue
            height, width, pitch = (int(record[name]) for name in ("height", "width", "pitch"))
            lines = array_at(DeviceArray(int(record["pixels"]), (height, pitch), "uint8"))
            placement = Placement(
                (height, width),
                target.shape[2:],  # type: ignore[arg-type]
                (int(record["rows"]), int(record["columns"])),
                int(record["top"]),
                int(record["left"]),
            )
            pixels = lines[:, : 3 * width].reshape(height, width, 3)
            self._preprocessor.fill(row, resize_fixed_point(pixels, placement, self._contract.resize))


class HostJpegDecoder:
    """Decodes on the stand-in's memory what it is willing to: files that do not hold `refused`."""

    def __init__(self, gpu: StandInGpu, refused: bytes = b"\0" * 64) -> None:
        self._gpu, self._refused = gpu, refused
        self._held: list[StandInMemory] = []
        self._stream: int | None = None
        self._others: list[HostJpegDecoder] = []
        self._decoded_here = 0

    @property
    def decoded(self) -> int:
        """Files that it and its likes have decoded."""
        return self._decoded_here + sum(other.decoded for other in self._others)

    def another(self) -> HostJpegDecoder:
        """One of the same kind, for another thread."""
        self._others.append(HostJpegDecoder(self._gpu, self._refused))
        return self._others[-1]

    def __call__(self, files: Sequence[EncodedJpeg], stream: int) -> Sequence[DecodedJpeg | None]:
        self.close()
        self._stream = stream
        contents = [ctypes.string_at(*file) for file in files]
        return [None if self._refused in file else self._decoded(file) for file in contents]

    def close(self) -> None:
        assert self._stream is None or self._stream in self._gpu.streams, "memory goes back on a destroyed stream"
        self._held.clear()

    def _decoded(self, file: bytes) -> DecodedJpeg:
        pixels = simplejpeg.decode_jpeg(file, "RGB", strict=False)  # as a chip: what is missing becomes grey
        height, width, _ = pixels.shape
        pitch = 3 * width + 16
        memory = StandInMemory(self._gpu, pitch * height)
        self._held.append(memory)
        array_at(DeviceArray(memory.pointer, (height, pitch), "uint8"))[:, : 3 * width] = pixels.reshape(height, -1)
        self._decoded_here += 1
        return DecodedJpeg(memory.pointer, pitch, (height, width))


def lane_on_host(
    detector: Detector,
    gpu: StandInGpu,
    batch: int,
    times: StageTimes,
    decoder: HostJpegDecoder | None = None,
    *,
    alone: bool = False,
    turns: Turns | None = None,
) -> DeviceLane:
    """The device's lane of a detector, on stand-ins; lanes that share `turns` are of one engine."""
    session, kernel = HostSession(detector, gpu, turns or Turns()), HostKernel(detector.contract, gpu)
    station = Station(session, gpu, detector.contract, kernel, HostEvent, batch, alone=alone)
    return DeviceLane(detector, gpu, station, batch, times, decoder.another if decoder else None, alone=alone)


def array_at(array: DeviceArray) -> npt.NDArray[Any]:
    """The stand-in's memory as an array."""
    raw = (ctypes.c_byte * array.nbytes).from_address(array.pointer)
    return np.frombuffer(memoryview(raw), np.dtype(array.dtype)).reshape(array.shape)
