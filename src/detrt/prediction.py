"""Detections of everything that a person points at, to every place that they want them in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from detrt.detector import Detector
from detrt.images.sources import count_items, open_items
from detrt.pipeline import Outcome, detect_stream
from detrt.progress import Progress, silent
from detrt.sinks import Sink
from detrt.stages import StageTimes


@dataclass(frozen=True)
class Selection:
    """Which detections a person wants to see: from a score on, of some classes or of all."""

    threshold: float = 0.0
    labels: Sequence[int] | None = None

    def __call__(self, outcome: Outcome) -> Outcome:
        """The outcome with no other detections."""
        if outcome.detections is None:
            return outcome
        kept = outcome.detections.above(self.threshold)
        return replace(outcome, detections=kept if self.labels is None else kept.of_classes(self.labels))


def predict(
    detector: Detector,
    files: Sequence[Path],
    *,
    select: Callable[[Outcome], Outcome] = Selection(),
    sinks: Sequence[Sink] = (),
    batch: int = 1,
    times: StageTimes | None = None,
    progress: Progress = silent,
) -> Iterator[Outcome]:
    """Detect in photos and videos, in order; each outcome is yielded once every sink has it.

    A file that cannot be read is an outcome with an error, and the run goes on.

    Args:
        detector: the model.
        files: see `find_files`.
        select: what to keep of each outcome.
        sinks: opened first, so that a folder that cannot be written is known before the work.
        batch: photos a run of the network.
        times: filled with the time of each stage, `write` (the sinks) among them.
        progress: told after every image.
    """
    times = times or StageTimes()
    total = count_items(files)
    with ExitStack() as stack:
        opened = [stack.enter_context(sink) for sink in sinks]
        draws = any(sink.needs_pixels for sink in sinks)
        outcomes = stack.enter_context(
            closing(detect_stream(detector, open_items(files), batch=batch, times=times, keep_pixels=draws))
        )
        for done, outcome in enumerate(map(select, outcomes), start=1):
            with times.stage("write"):
                for sink in opened:
                    sink.add(outcome)
            progress("images", done, total)
            yield outcome
