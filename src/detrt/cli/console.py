"""How the command line speaks: results on standard output, progress and remarks on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from detrt.progress import Progress
from detrt.stages import StageTimes

out = Console(highlight=False, soft_wrap=True, emoji=False)  # a photo may be called :car:.jpg
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A bar for every stage at work, where standard error is a terminal; gone when the next one begins behind it."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                for task in bars.tasks:
                    bars.update(task.id, visible=not task.finished)
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total, visible=True)

        yield report


def time_summary(times: StageTimes, seconds: float) -> str:
    """For example `decode 2.9, resize 3.9 | infer 14.2, boxes 0.1 ms an image; 60.3 images/s`."""
    stages = ", ".join(f"{name} {value:.1f}" for name, value in times.per_image().items())
    return f"{stages} ms an image (threads overlap); {times.images / max(seconds, 1e-9):.1f} images/s"
