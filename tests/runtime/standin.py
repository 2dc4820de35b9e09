"""A stand-in for TensorRT and for a GPU, so that the runner's own logic can be tested where there is neither.

It is no TensorRT: its one "engine" multiplies every pixel's sum, and its "device memory" is host memory. It keeps the
rules that the runner must keep: a context runs on one thread at a time, work within a capture is recorded and not run,
memory that is freed is gone.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from detrt.errors import EngineError
from detrt.runtime.device import DeviceArray

MAGIC = b"stand-in engine"


class StandInMemory:
    """A piece of host memory that counts as device memory."""

    def __init__(self, gpu: StandInGpu, nbytes: int) -> None:
        self.nbytes = nbytes
        self._buffer = (ctypes.c_byte * max(nbytes, 1))()
        ctypes.memset(self._buffer, 0xFF, max(nbytes, 1))  # NaN in any float: what nobody wrote shows
        self.pointer = ctypes.addressof(self._buffer)
        gpu.extents[self.pointer] = nbytes
        gpu.alive.add(self.pointer)
        self._free = weakref.finalize(self, gpu.alive.discard, self.pointer)

    def close(self) -> None:
        self._free()


class StandInStream:
    """A stream whose work is done as it is enqueued."""

    def __init__(self, gpu: StandInGpu, handle: int) -> None:
        self._gpu, self.handle = gpu, handle
        gpu.streams.add(handle)

    def synchronize(self) -> None:
        assert self.handle in self._gpu.streams, "a destroyed stream was used"
        self._gpu.waited.append(self.handle)

    def close(self) -> None:
        self._gpu.streams.discard(self.handle)


class StandInGraph:
    """Recorded work."""

    def __init__(self, gpu: StandInGpu, work: Sequence[Callable[[], None]]) -> None:
        self._gpu, self._work = gpu, work
        gpu.graphs.add(self)
        gpu.captures += 1

    def launch(self, stream: int) -> None:
        assert self in self._gpu.graphs, "a destroyed graph was launched"
        self._gpu.launched.append(("graph", stream))
        for step in self._work:
            step()

    def close(self) -> None:
        self._gpu.graphs.discard(self)


@dataclass(eq=False)
class StandInGpu:
    """A `detrt.runtime.gpu.Gpu` on the host."""

    index: int = 0
    name: str = "Stand-in GPU"
    capability: str = "9.0"
    capturable: bool = True
    alive: set[int] = field(default_factory=set)
    extents: dict[int, int] = field(default_factory=dict)
    streams: set[int] = field(default_factory=set)
    graphs: set[StandInGraph] = field(default_factory=set)
    captures: int = 0
    launched: list[tuple[str, int]] = field(default_factory=list)
    waited: list[int] = field(default_factory=list)
    held: list[StandInMemory] = field(default_factory=list)
    _handles: Any = field(default_factory=lambda: itertools.count(1000))
    _recording: threading.local = field(default_factory=threading.local)

    def use(self) -> None:
        """There is one only."""

    def allocate(self, nbytes: int) -> StandInMemory:
        assert not self._is_recording(), "memory was allocated within a capture"
        return StandInMemory(self, nbytes)

    def holds(self, pointer: int) -> bool:
        """Whether it points into memory that nobody has freed; other threads may allocate meanwhile."""
        return any(start <= pointer < start + self.extents[start] for start in [*self.alive])

    def held_bytes(self) -> int:
        """Of memory that nobody has freed."""
        return sum(self.extents[start] for start in [*self.alive])

    def put(self, value: npt.NDArray[Any]) -> DeviceArray:
        """A device tensor of somebody else's, with the values of `value`."""
        memory, source = StandInMemory(self, value.nbytes), np.ascontiguousarray(value)
        ctypes.memmove(memory.pointer, source.ctypes.data, source.nbytes)
        self.held.append(memory)
        return DeviceArray(memory.pointer, value.shape, value.dtype.name)

    def pin(self, nbytes: int) -> StandInMemory:
        return self.allocate(nbytes)

    def stream(self) -> StandInStream:
        return StandInStream(self, next(self._handles))

    def copy(self, target: int, source: int, nbytes: int, stream: int) -> None:
        self.enqueue(lambda: (ctypes.memmove(target, source, nbytes), None)[1])

    def clear(self, target: int, nbytes: int, stream: int) -> None:
        self.enqueue(lambda: (ctypes.memset(target, 0, nbytes), None)[1])

    def synchronize(self, stream: int) -> None:
        assert not self._is_recording(), "a stream was waited for within a capture"

    def capture(self, stream: int, work: Callable[[], None]) -> StandInGraph:
        if not self.capturable:
            raise EngineError("This cannot be captured.", "Launch it on a stream.")
        steps: list[Callable[[], None]] = []
        self._recording.steps = steps
        try:
            work()
        finally:
            self._recording.steps = None
        return StandInGraph(self, steps)

    def enqueue(self, step: Callable[[], None]) -> None:
        if self._is_recording():
            self._recording.steps.append(step)
        else:
            step()

    def _is_recording(self) -> bool:
        return getattr(self._recording, "steps", None) is not None


class StandInContext:
    """Runs `scores = sum of the pixels of an image, times its width` (and echoes sizes as labels)."""

    def __init__(self, engine: StandInEngine) -> None:
        self._engine = engine
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._busy = threading.Lock()
        engine.contexts += 1

    def set_input_shape(self, name: str, shape: Sequence[int], /) -> bool:
        self._shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name: str, /) -> Sequence[int]:
        return (self._shapes["images"][0],) if name == "scores" else (self._shapes["images"][0], 2)

    def set_tensor_address(self, name: str, memory: int, /) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        gpu = self._engine.gpu
        gpu.launched.append(("stream", stream_handle))
        gpu.enqueue(self._compute)
        return True

    def _compute(self) -> None:
        assert self._busy.acquire(blocking=False), "two threads ran one context"
        self._engine.watch()
        images = self._array("images", np.float32, self._shapes["images"])
        sizes = self._array("sizes", np.int64, self._shapes["sizes"])
        scores = self._array("scores", np.float32, self.get_tensor_shape("scores"))
        scores[:] = images.sum(axis=(1, 2, 3)) * sizes[:, 0]
        self._array("labels", np.int64, sizes.shape)[:] = sizes
        self._busy.release()

    def _array(self, name: str, dtype: type, shape: Sequence[int]) -> npt.NDArray[Any]:
        pointer = self._addresses[name]
        assert self._engine.gpu.holds(pointer), f"{name} lies in freed memory"
        count = int(np.prod(shape))
        raw = (ctypes.c_byte * (count * np.dtype(dtype).itemsize)).from_address(pointer)
        return np.frombuffer(memoryview(raw), dtype).reshape(tuple(shape))


class StandInRuntimeCache:
    """Compiled kernels, as a few bytes."""

    def __init__(self, engine: StandInEngine) -> None:
        self._engine = engine
        self.known = b""

    def serialize(self) -> bytes:
        return self.known or b"kernels of %d contexts" % self._engine.contexts

    def deserialize(self, blob: bytes, /) -> bool:
        fits = blob.startswith(b"kernels of")
        self.known = blob if fits else b""
        return fits


class StandInRuntimeConfig:
    """Settings of contexts."""

    dynamic_shapes_kernel_specialization_strategy: Any = None

    def __init__(self, engine: StandInEngine) -> None:
        self._engine = engine
        self.cache: StandInRuntimeCache | None = None

    def create_runtime_cache(self) -> StandInRuntimeCache:
        return StandInRuntimeCache(self._engine)

    def set_runtime_cache(self, cache: StandInRuntimeCache, /) -> bool:
        self.cache = self._engine.cache = cache
        return True


class StandInEngine:
    """images (N, 3, 4, 4) float32 and sizes (N, 2) int64 to scores (N,) float32 and labels (N, 2) int64."""

    num_layers = 1

    def __init__(self, gpu: StandInGpu) -> None:
        self.gpu = gpu
        self.contexts = 0
        self.cache: StandInRuntimeCache | None = None
        self.watch: Callable[[], object] = lambda: None  # called while a context computes

    def create_runtime_config(self) -> StandInRuntimeConfig:
        return StandInRuntimeConfig(self)

    def create_execution_context(self, config: StandInRuntimeConfig | None = None, /) -> StandInContext:
        return StandInContext(self)


class StandInLogger:
    """What `ILogger` is for: somebody to tell."""

    def log(self, severity: int, message: str) -> None:
        raise NotImplementedError


class StandInTensorRT(SimpleNamespace):
    """A module like `tensorrt_rtx`; keeps the engines that it deserialised."""

    def __init__(self, gpu: StandInGpu, version: str) -> None:
        super().__init__(
            __version__=version,
            ILogger=StandInLogger,
            DynamicShapesKernelSpecializationStrategy=SimpleNamespace(EAGER="EAGER"),
        )
        self.gpu = gpu
        self.engines: list[StandInEngine] = []
        self.seen: list[bytes] = []
        self.built_under: list[str | None] = []

    def Builder(self, logger: Any) -> None:  # noqa: N802
        self.built_under.append(os.environ.get("NVIDIA_TF32_OVERRIDE"))

    def Runtime(self, logger: Any) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(deserialize_cuda_engine=lambda data: self._read(data, logger))

    def _read(self, data: bytes, logger: Any) -> StandInEngine | None:
        self.seen.append(data)
        if not data.startswith(MAGIC):
            logger.log(1, "the magic tag does not match")
            return None
        self.engines.append(StandInEngine(self.gpu))
        return self.engines[-1]


def expected(feeds: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """The scores that the stand-in engine gives."""
    scores: npt.NDArray[np.float32] = feeds["images"].sum(axis=(1, 2, 3)) * feeds["sizes"][:, 0]
    return scores.astype(np.float32)
