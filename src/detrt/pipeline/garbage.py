"""Whether a stream that nobody finished is being found by the garbage collector."""

from __future__ import annotations

import gc
from threading import get_ident


def is_collecting_here() -> bool:
    """Whether the calling thread is in the midst of a collection, and so in the midst of anything.

    A collection comes over a thread at any allocation, whatever locks it holds: what a finaliser waits for may be
    waiting for one of them.
    """
    return _collector.thread == get_ident()


class _Collector:
    """The thread that collects; one does at a time. Python tells nobody who asks, but whoever asked to be told."""

    def __init__(self) -> None:
        self.thread: int | None = None

    def __call__(self, phase: str, _: object) -> None:
        self.thread = get_ident() if phase == "start" else None


_collector = _Collector()
gc.callbacks.append(_collector)
