"""The GPU through NVIDIA's own CUDA bindings: what `gpu.py` asks for, and events to time with."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from detrt.errors import EngineError, MissingExtraError, ModelError
from detrt.extras import require


@dataclass(frozen=True)
class CudaGpu:
    """A GPU by its number; see `gpu.Gpu`.

    Attributes:
        capability: `9.0`.
        driver: newest CUDA version that the driver knows, `13.0`.
        memory: of the device, in bytes.
    """

    index: int
    name: str
    capability: str
    driver: str
    memory: int

    def use(self) -> None:
        """See `Gpu.use`."""
        _do("cudaSetDevice", self.index)

    def allocate(self, nbytes: int) -> CudaMemory:
        """See `Gpu.allocate`."""
        return CudaMemory(_do("cudaMalloc", max(nbytes, 1)), nbytes, "cudaFree")

    def pin(self, nbytes: int) -> CudaMemory:
        """See `Gpu.pin`."""
        return CudaMemory(_do("cudaMallocHost", max(nbytes, 1)), nbytes, "cudaFreeHost")

    def stream(self) -> CudaStream:
        """See `Gpu.stream`."""
        self.use()
        return CudaStream(int(_do("cudaStreamCreateWithFlags", _cuda().cudaStreamNonBlocking)))

    def copy(self, target: int, source: int, nbytes: int, stream: int) -> None:
        """See `Gpu.copy`."""
        cuda = _cuda()
        _check("cudaMemcpyAsync", cuda.cudaMemcpyAsync(target, source, nbytes, _any_direction(), stream))

    def clear(self, target: int, nbytes: int, stream: int) -> None:
        """See `Gpu.clear`."""
        _do("cudaMemsetAsync", target, 0, nbytes, stream)

    def synchronize(self, stream: int) -> None:
        """See `Gpu.synchronize`."""
        _do("cudaStreamSynchronize", stream)

    def capture(self, stream: int, work: Callable[[], None]) -> CudaGraph:
        """See `Gpu.capture`. Other threads may go on allocating and launching meanwhile."""
        cuda = _cuda()
        _do("cudaStreamBeginCapture", stream, cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)
        try:
            work()
        except BaseException:
            cuda.cudaStreamEndCapture(stream)  # its own error says less than the one on its way
            raise
        graph = _do("cudaStreamEndCapture", stream)
        try:
            return CudaGraph(_do("cudaGraphInstantiate", graph, 0))
        finally:
            _do("cudaGraphDestroy", graph)

    def free_memory(self) -> int:
        """Bytes of device memory that nobody uses now."""
        self.use()
        return int(_do("cudaMemGetInfo")[0])


class CudaMemory:
    """Device or pinned host memory."""

    def __init__(self, pointer: Any, nbytes: int, free: str) -> None:
        self.pointer, self.nbytes = int(pointer), nbytes
        self._free = weakref.finalize(self, _quietly, free, self.pointer)
        self._free.atexit = False  # the process gives everything back, and CUDA may be gone by then

    def close(self) -> None:
        """Free it."""
        self._free()


class CudaStream:
    """A non-blocking stream."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self._free = weakref.finalize(self, _quietly, "cudaStreamDestroy", handle)
        self._free.atexit = False

    def synchronize(self) -> None:
        """Wait until it is idle."""
        _do("cudaStreamSynchronize", self.handle)

    def close(self) -> None:
        """Destroy it."""
        self._free()


class CudaGraph:
    """An instantiated CUDA graph."""

    def __init__(self, executable: Any) -> None:
        self._executable = executable
        self._free = weakref.finalize(self, _quietly, "cudaGraphExecDestroy", executable)
        self._free.atexit = False

    def launch(self, stream: int) -> None:
        """Enqueue it on a stream."""
        _check("cudaGraphLaunch", _cuda().cudaGraphLaunch(self._executable, stream))

    def close(self) -> None:
        """Destroy it."""
        self._free()


class CudaEvent:
    """A point in a stream. Who waits for it keeps a core busy, which is the quickest way to hear of it."""

    def __init__(self, *, timed: bool = True) -> None:
        """Make one; where it is not timed, streams wait for it sooner (CUDA's manual of `cudaEventCreateWithFlags`)."""
        cuda = _cuda()
        self._event = _do("cudaEventCreateWithFlags", cuda.cudaEventDefault if timed else cuda.cudaEventDisableTiming)
        self._free = weakref.finalize(self, _quietly, "cudaEventDestroy", self._event)
        self._free.atexit = False

    def record(self, stream: int) -> None:
        """Enqueue the event."""
        _check("cudaEventRecord", _cuda().cudaEventRecord(self._event, stream))

    def synchronize(self) -> None:
        """Wait until the event has passed."""
        _do("cudaEventSynchronize", self._event)

    def hold(self, stream: int) -> None:
        """Let what is enqueued on a stream from now on wait for the event; the host does not."""
        _check("cudaStreamWaitEvent", _cuda().cudaStreamWaitEvent(stream, self._event, 0))

    def milliseconds_since(self, start: CudaEvent) -> float:
        """Time between two events that have passed; resolution about half a microsecond."""
        return float(_do("cudaEventElapsedTime", start._event, self._event))


def gpu(device: str = "auto") -> CudaGpu:
    """The GPU that `auto`, `cuda` or `cuda:N` names.

    Raises:
        ModelError: the name is none, or is `cpu`.
        EngineError: this machine has no such GPU, or no driver.
        MissingExtraError: the CUDA bindings are not installed.
    """
    kind, _, number = "cuda:0".partition(":") if device in ("auto", "cuda") else device.partition(":")
    if device == "cpu":
        raise ModelError("A TensorRT engine was asked to run on the CPU.", "Use --device cuda, or the ONNX model.")
    if kind != "cuda" or not number.isdecimal():
        raise ModelError(f"'{device}' is no device.", "Use auto, cuda or cuda:N.")
    count, reason = _count()
    if int(number) >= count:
        found = f"there {'is' if count == 1 else 'are'} {count}" if count else f"there is none: {reason}"
        raise EngineError(
            f"No NVIDIA GPU number {number} here; {found}.",
            "Use another --device, or another machine; `detrt doctor` shows what is here.",
        )
    return _look_at(int(number))


def first_gpu() -> CudaGpu | None:
    """The first GPU, or None where there is none; never raises for want of one."""
    try:
        return _look_at(0) if _count()[0] else None
    except MissingExtraError:
        return None


def _look_at(index: int) -> CudaGpu:
    told = _do("cudaGetDeviceProperties", index)
    driver = int(_do("cudaDriverGetVersion"))
    name = told.name.decode() if isinstance(told.name, bytes) else str(told.name)
    return CudaGpu(
        index=index,
        name=name.rstrip("\0"),
        capability=f"{told.major}.{told.minor}",
        driver=f"{driver // 1000}.{driver % 1000 // 10}",
        memory=int(told.totalGlobalMem),
    )


def _count() -> tuple[int, str]:
    status, count = _cuda().cudaGetDeviceCount()
    return (int(count), "") if int(status) == 0 else (0, _named(status))


@cache
def _cuda() -> Any:
    return require("cuda.bindings.runtime", extra="rtx", purpose="Running an engine")


@cache
def _any_direction() -> Any:
    return _cuda().cudaMemcpyKind.cudaMemcpyDefault


def _do(call: str, *arguments: Any) -> Any:
    """Make a CUDA call and return what it gives: nothing, one value, or several."""
    return _check(call, getattr(_cuda(), call)(*arguments))


def _check(call: str, result: tuple[Any, ...]) -> Any:
    status = result[0]
    if int(status):
        out_of_memory = status == _cuda().cudaError_t.cudaErrorMemoryAllocation
        raise EngineError(
            f"{call} failed: {_named(status)}.",
            "Close other users of the GPU, or build the engine for a smaller batch."
            if out_of_memory
            else "If it happens again, run `nvidia-smi` and restart the process: a GPU fault stays until then.",
        )
    return result[1] if len(result) == 2 else result[1:] or None


def _named(status: Any) -> str:
    error, text = _cuda().cudaGetErrorString(status)
    said = (text.decode() if isinstance(text, bytes) else str(text)) if int(error) == 0 else ""
    return f"{status.name} ({said})" if said else str(status.name)


def _quietly(call: str, *arguments: Any) -> None:
    """Free something; what fails now has failed before, and was told."""
    getattr(_cuda(), call)(*arguments)
