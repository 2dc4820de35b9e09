"""What can be timed: calls on the host, an engine's runs on a GPU, a PyTorch model's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from detrt.benchmark.timings import Round, Subject
from detrt.runtime.base import Array
from detrt.runtime.device import DeviceRuntime, DeviceSession
from detrt.runtime.gpu import Gpu, Memory

if TYPE_CHECKING:
    from detrt.runtime.torch import TorchRuntime

_BACKLOG = 64  # runs enqueued before the host waits: enough that the GPU never waits for the host


_E = TypeVar("_E", bound="Event")


class Event(Protocol):
    """A point in a stream whose time the GPU notes."""

    def record(self, stream: int) -> None:
        """Enqueue it."""
        ...

    def milliseconds_since(self: _E, start: _E) -> float:
        """Time between two events that have passed."""
        ...


class _Closing:
    """A context that closes."""

    def close(self) -> None:
        """Give memory back; nothing by default."""

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class HostCalls(_Closing):
    """Calls that return when their result is there, timed by the host's clock; by as many threads as streams.

    Args:
        call: given the number of the run, so that it can take its inputs in turn.
        on_close: what frees the model.
    """

    def __init__(
        self, subject: Subject, call: Callable[[int], object], on_close: Callable[[], None] = lambda: None
    ) -> None:
        self.subject = subject
        self._call = call
        self._on_close = on_close
        self._done = 0
        self._threads = ThreadPoolExecutor(subject.streams) if subject.streams > 1 else None

    def time(self, runs: int) -> Round:
        """See `Timeable.time`."""
        numbers = range(self._done, self._done + runs)
        self._done += runs
        start = perf_counter()
        times = tuple(self._threads.map(self._timed, numbers) if self._threads else map(self._timed, numbers))
        return Round(times, 1e3 * (perf_counter() - start))

    def _timed(self, number: int) -> float:
        start = perf_counter()
        self._call(number)
        return 1e3 * (perf_counter() - start)

    def close(self) -> None:
        """Free the model."""
        if self._threads:
            self._threads.shutdown()
        self._on_close()


class DeviceRuns(_Closing):
    """Runs of an engine on resident buffers, timed by the GPU's own events.

    Before each run the next of the input sets is copied into the input buffers on the device, outside of the events.
    With several streams, each has a session of its own and they are launched in turn.
    """

    def __init__(
        self,
        subject: Subject,
        runtime: DeviceRuntime,
        sets: Sequence[Mapping[str, Array]],
        *,
        gpu: Gpu,
        event: Callable[[], Event],
    ) -> None:
        """Make sessions and put the input sets on the device.

        Args:
            subject: says how many streams, and whether there is a CUDA graph.
            runtime: closed with this.
            sets: host arrays, all of one shape.
            gpu: where the runtime runs.
            event: makes an event of that GPU.
        """
        self.subject = subject
        self._runtime = runtime
        self._gpu = gpu
        self._gpu.use()
        graph = subject.graph is not False
        self._sessions: list[DeviceSession] = [runtime.session(graph=graph) for _ in range(subject.streams)]
        for session in self._sessions:
            session.shape({name: value.shape for name, value in sets[0].items()})
            session.upload(sets[0])
        self._sets = [self._resident(feeds) for feeds in sets]
        self._events = [(event(), event()) for _ in range(_BACKLOG)]
        self._numbers = count()

    def time(self, runs: int) -> Round:
        """See `Timeable.time`."""
        start, times = perf_counter(), []
        for first in range(0, runs, _BACKLOG):
            times += self._backlog(self._events[: min(_BACKLOG, runs - first)])
        return Round(tuple(times), 1e3 * (perf_counter() - start))

    def _backlog(self, events: Sequence[tuple[Event, Event]]) -> list[float]:
        for begin, end in events:
            number = next(self._numbers)
            session = self._sessions[number % len(self._sessions)]
            for name, memory in self._sets[number % len(self._sets)].items():
                target = session.inputs[name]
                self._gpu.copy(target.pointer, memory.pointer, target.nbytes, session.stream)
            begin.record(session.stream)
            session.launch()
            end.record(session.stream)
        for session in self._sessions:
            session.synchronize()
        return [end.milliseconds_since(begin) for begin, end in events]

    def _resident(self, feeds: Mapping[str, Array]) -> dict[str, Memory]:
        held = {}
        for name, value in feeds.items():
            held[name] = self._gpu.allocate(value.nbytes)
            self._gpu.copy(held[name].pointer, value.ctypes.data, value.nbytes, self._sessions[0].stream)
        self._sessions[0].synchronize()
        return held

    def close(self) -> None:
        """Free sessions, buffers and the engine."""
        for session in self._sessions:
            session.close()
        for memory in (memory for feeds in self._sets for memory in feeds.values()):
            memory.close()
        self._runtime.close()


class TorchRuns(_Closing):
    """Runs of a PyTorch model on tensors that are on its GPU already, timed by the GPU's own events."""

    def __init__(self, subject: Subject, runtime: TorchRuntime, sets: Sequence[Mapping[str, Array]]) -> None:
        import torch

        self.subject = subject
        self._runtime = runtime
        self._event = partial(torch.cuda.Event, enable_timing=True)
        self._synchronize = partial(torch.cuda.synchronize, runtime.device)
        self._sets = [runtime.resident(feeds) for feeds in sets]
        self._numbers = count()

    def time(self, runs: int) -> Round:
        """See `Timeable.time`."""
        start = perf_counter()
        events = [(self._event(), self._event()) for _ in range(runs)]
        for begin, end in events:
            tensors = self._sets[next(self._numbers) % len(self._sets)]
            begin.record()
            self._runtime.launch(tensors)
            end.record()
        self._synchronize()
        return Round(tuple(begin.elapsed_time(end) for begin, end in events), 1e3 * (perf_counter() - start))

    def close(self) -> None:
        """Free the model."""
        self._runtime.close()
