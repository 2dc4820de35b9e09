"""What an engine's runner needs of a GPU: memory, streams, copies, graphs. `cuda.py` gives it with CUDA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Memory(Protocol):
    """A piece of memory; closing it twice is fine, and forgetting it frees it with the object."""

    @property
    def pointer(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def close(self) -> None: ...


class Stream(Protocol):
    """A queue of work that runs in order, beside other streams."""

    @property
    def handle(self) -> int: ...
    def synchronize(self) -> None: ...
    def close(self) -> None: ...


class Graph(Protocol):
    """Work that was captured once and is launched as one."""

    def launch(self, stream: int) -> None: ...
    def close(self) -> None: ...


class Gpu(Protocol):
    """One GPU.

    Attributes:
        index: its number, as in `cuda:0`.
        name: as its maker calls it.
        capability: compute capability, `8.9`.
    """

    @property
    def index(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def capability(self) -> str: ...
    def __hash__(self) -> int: ...

    def use(self) -> None:
        """Make it the GPU that the calling thread works with."""
        ...

    def allocate(self, nbytes: int) -> Memory:
        """Device memory.

        Raises:
            EngineError: there is not that much left.
        """
        ...

    def pin(self, nbytes: int) -> Memory:
        """Host memory that the GPU reads and writes without a copy in between."""
        ...

    def stream(self) -> Stream:
        """A new stream that does not wait for the default stream."""
        ...

    def copy(self, target: int, source: int, nbytes: int, stream: int) -> None:
        """Enqueue a copy between any two addresses, on the host (pinned) or the device."""
        ...

    def clear(self, target: int, nbytes: int, stream: int) -> None:
        """Enqueue zeros into device memory."""
        ...

    def synchronize(self, stream: int) -> None:
        """Wait until the stream is idle.

        Raises:
            EngineError: something enqueued on it failed.
        """
        ...

    def capture(self, stream: int, work: Callable[[], None]) -> Graph:
        """Record what `work` enqueues on `stream`, instead of running it.

        Raises:
            EngineError: the work did something that cannot be captured.
        """
        ...
