"""Ctrl-C while TensorRT works."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupt:
    """Whether somebody wants to stop.

    Attributes:
        asked: Ctrl-C was pressed; `BuildMonitor` then tells the builder to end.
    """

    asked = False


@contextmanager
def interrupt_held() -> Iterator[Interrupt]:
    """Hold Ctrl-C back until the block ends, whichever way it does, and raise KeyboardInterrupt there.

    Python raises it in the function that runs next. Amid TensorRT that is a callback, such as the logger's, and the C++
    that called it prints what is raised and goes on. Nothing is held in other threads than the main one, where Python
    raises none, nor where the program has its own way with Ctrl-C.
    """
    held = Interrupt()

    def hold(*_: object) -> None:
        held.asked = True

    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield held
        return
    signal.signal(signal.SIGINT, hold)
    try:
        yield held
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if held.asked:
            raise KeyboardInterrupt
