"""A whole benchmark: open the models, let them take turns, report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from detrt.benchmark.machine import gpu_clock, this_machine
from detrt.benchmark.photos import photos_from
from detrt.benchmark.report import BenchmarkReport, now
from detrt.benchmark.subjects import Case, open_case
from detrt.benchmark.timings import Timings
from detrt.benchmark.turns import Pace, take_turns
from detrt.progress import Progress, silent


def benchmark(
    cases: Sequence[Case],
    *,
    photos: Path | None = None,
    pace: Pace = Pace(),  # noqa: B008 frozen
    command: Sequence[str] = (),
    progress: Progress = silent,
) -> BenchmarkReport:
    """Time `cases` in turns, all loaded at once, on the same photos.

    Ctrl-C ends it early, with what was measured so far.

    Raises:
        ModelError: a case cannot be loaded here.
        ImageError: the photos cannot be read.
    """
    pictures = photos_from(photos)
    with ExitStack() as stack:
        timeables = []
        for number, case in enumerate(cases):
            timeables.append(stack.enter_context(open_case(case, pictures)))
            progress("Loading", number + 1, len(cases))
        on_gpu = any(timeable.subject.device != "cpu" for timeable in timeables)
        clock = gpu_clock() if on_gpu else (lambda: None)
        rows: list[Timings] = take_turns(timeables, pace, clock_mhz=clock, progress=progress)
    complete = len(rows) == len(cases) and all(len(row.rounds) == pace.rounds for row in rows)
    return BenchmarkReport(tuple(rows), this_machine(), str(photos or "made"), tuple(command), now(), complete)
