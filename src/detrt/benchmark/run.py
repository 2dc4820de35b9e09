"""A whole benchmark: open the models, let them take turns, report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from detrt.benchmark.machine import gpu_clock, this_machine
from detrt.benchmark.photos import files_from, photos_from
from detrt.benchmark.report import BenchmarkReport, now
from detrt.benchmark.subjects import Case, open_case
from detrt.benchmark.turns import Pace, Timeable, take_turns
from detrt.errors import DetrtError
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

    A case that cannot be loaded or run here is left out, and the report says why. Ctrl-C ends it early, with what was
    measured so far.

    Raises:
        DetrtError: every case failed; this is what was wrong with the first.
        ImageError: the photos cannot be read.
    """
    pictures, files = photos_from(photos), files_from(photos)
    with ExitStack() as stack:
        timeables: list[Timeable] = []
        failures: list[DetrtError] = []
        told: list[str] = []
        for number, case in enumerate(cases):
            try:
                timeables.append(stack.enter_context(open_case(case, pictures, files)))
            except DetrtError as error:
                failures.append(error)
                told.append(f"{case}: {error}")
            progress("Loading", number + 1, len(cases))
        on_gpu = any(timeable.subject.device != "cpu" for timeable in timeables)
        clock = gpu_clock() if on_gpu else (lambda: None)
        rows, failed = take_turns(timeables, pace, clock_mhz=clock, progress=progress)
    failures += [error for _, error in failed]
    told += [f"{subject}: {error}" for subject, error in failed]
    if failures and len(failures) == len(cases):
        raise failures[0]
    complete = len(rows) + len(failures) == len(cases) and all(len(row.rounds) == pace.rounds for row in rows)
    return BenchmarkReport(
        tuple(rows), tuple(told), this_machine(), str(photos or "made"), tuple(command), now(), complete
    )
