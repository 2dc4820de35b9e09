"""The builder's phases as progress, and Ctrl-C as a request to stop."""

from __future__ import annotations

import threading
from typing import Any

from detrt.engine.interrupt import Interrupt
from detrt.progress import Progress


class BuildMonitor:
    """Reports the steps of the build to a `Progress`, and ends it when that callback raises or Ctrl-C is pressed.

    Attributes:
        native: the `IProgressMonitor` that the builder configuration takes.
        raised: what the callback raised; no exception may pass through the C++ in between.
    """

    def __init__(self, trt: Any, progress: Progress, interrupt: Interrupt) -> None:
        """Derive from the module's `IProgressMonitor`."""
        self._progress, self._interrupt = progress, interrupt
        self._totals: dict[str, int] = {}
        self._lock = threading.Lock()
        self.raised: BaseException | None = None

        def init(native: Any) -> None:
            trt.IProgressMonitor.__init__(native)

        self.native: Any = type(
            "DetrtMonitor",
            (trt.IProgressMonitor,),
            {
                "__init__": init,
                "phase_start": lambda native, name, parent, steps: self._start(name, int(steps)),
                "step_complete": lambda native, name, step: self._step(name, int(step)),
                "phase_finish": lambda native, name: self._finish(name),
            },
        )()

    def _start(self, phase: str, steps: int) -> None:
        with self._lock:
            self._totals[phase] = steps
        self._report(phase, 0, steps)

    def _step(self, phase: str, step: int) -> bool:
        self._report(phase, step + 1, self._totals.get(phase))
        return self.raised is None and not self._interrupt.asked

    def _finish(self, phase: str) -> None:
        with self._lock:
            steps = self._totals.pop(phase, None)
        if steps is not None:
            self._report(phase, steps, steps)

    def _report(self, phase: str, done: int, total: int | None) -> None:
        if self.raised is None:
            try:
                with self._lock:
                    self._progress(phase, done, total)
            except BaseException as error:  # the builder is told to stop, then it is raised
                self.raised = error
