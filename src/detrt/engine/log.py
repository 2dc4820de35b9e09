"""What TensorRT says, handed to Python's logging; what it says went wrong, kept for the error message."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

logger = logging.getLogger("detrt.tensorrt")
logger.addHandler(logging.NullHandler())  # silent until the program, or `detrt build -v`, asks to hear it

# TensorRT's severities, 0 (internal error) to 4 (verbose), as levels of Python's logging.
LEVELS = (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)

CANCELLED = "Build canceled by user"


class TensorRTLog:
    """The logger of one flavour.

    Attributes:
        native: the `ILogger` that the flavour's objects take.
    """

    def __init__(self, trt: Any) -> None:
        """Derive from the module's `ILogger`, which is what inheritance is forced on us for."""
        self._kept: list[list[str]] = []
        self._lock = threading.Lock()

        def say(native: Any, severity: Any, message: str) -> None:
            self._say(int(severity), message)

        def init(native: Any) -> None:
            trt.ILogger.__init__(native)

        self.native: Any = type("DetrtLogger", (trt.ILogger,), {"__init__": init, "log": say})()

    @contextmanager
    def errors(self) -> Iterator[list[str]]:
        """Collect what goes wrong within the block, from whichever thread TensorRT reports it."""
        kept: list[str] = []
        with self._lock:
            self._kept.append(kept)
        try:
            yield kept
        finally:
            with self._lock:
                self._kept[:] = [other for other in self._kept if other is not kept]

    def _say(self, severity: int, message: str) -> None:
        level = LEVELS[min(max(severity, 0), len(LEVELS) - 1)]
        if CANCELLED in message:
            level = logging.DEBUG  # nothing went wrong: `BuildMonitor` told the builder to end
        if logger.isEnabledFor(level):
            logger.log(level, "%s", message)
        if level >= logging.ERROR:
            with self._lock:
                for kept in self._kept:
                    kept.append(message.strip())


def gist(errors: list[str], *, most: int = 2) -> str:
    """The first distinct errors as one clause; the first is the cause, later ones repeat it."""
    distinct = list(dict.fromkeys(" ".join(error.split()).rstrip(".") for error in errors))
    return "; ".join(distinct[:most]) or "it gave no reason"
