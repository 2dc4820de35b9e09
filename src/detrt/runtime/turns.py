"""Whose turn it is to run an engine of which no two runs may overlap."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Turns:
    """What the sessions of such an engine share.

    Graphs of TensorRT-RTX 1.6.1 that ran side by side changed each other's results: on an H100, 92 of 10,000 runs of
    RT-DETRv2-R18 in FP16 from four threads, none of 2,500 alone; engines of their own did not help.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.last: Turn | None = None


class Turn:
    """One session's; within, it may enqueue runs, and no other session runs.

    Nobody waits for the GPU at its end, so a session that takes one turn after the other keeps the GPU busy. Only who
    comes after another session waits for what that one has enqueued.
    """

    __slots__ = ("_turns", "_wait")

    def __init__(self, turns: Turns, wait: Callable[[], None]) -> None:
        """Take none yet.

        Args:
            turns: of the engine.
            wait: until nothing that the session has enqueued is under way.
        """
        self._turns, self._wait = turns, wait

    def __enter__(self) -> None:
        turns = self._turns
        turns.lock.acquire()
        if turns.last is self:
            return
        try:
            if turns.last:
                turns.last._wait()
            turns.last = self
        except BaseException:
            turns.lock.release()
            raise

    def __exit__(self, *_: object) -> None:
        self._turns.lock.release()

    def end(self) -> None:
        """There will be no more, and nothing is under way, so nobody need wait."""
        with self._turns.lock:
            if self._turns.last is self:
                self._turns.last = None
