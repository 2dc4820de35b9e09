"""From the bytes of JPEG files in memory to detections on the host: one call after the other, or as a stream."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, islice
from time import perf_counter
from typing import Any

from detrt.benchmark.timeables import HostCalls, _Closing
from detrt.benchmark.timings import Round, Subject
from detrt.detector import Detector
from detrt.images.sources import PhotoBytes
from detrt.pipeline import detect_stream
from detrt.pipeline.lane import Lane
from detrt.pipeline.lanes import lane_of
from detrt.pipeline.stream import BATCHES_AHEAD
from detrt.stages import StageTimes


def end_to_end_calls(subject: Subject, detector: Detector, files: Sequence[bytes]) -> HostCalls:
    """Calls of `Detector.detect` on batches of the subject's size: the latency that one who waits sees."""
    items = [PhotoBytes(file, f"photo {number}") for number, file in enumerate(files)]

    def call(run: int) -> None:
        first = run * subject.batch
        detector.detect([items[(first + row) % len(items)] for row in range(subject.batch)])

    return HostCalls(subject, call, detector.close)


class EndToEndStream(_Closing):
    """A stream that never ends, timed a batch at a time as its outcomes come out: the throughput of a long job."""

    def __init__(
        self,
        subject: Subject,
        detector: Detector,
        files: Sequence[bytes],
        *,
        lane: Lane[Any] | None = None,
        times: StageTimes | None = None,
    ) -> None:
        """Start the stream.

        Args:
            subject: says the batch.
            detector: closed with this.
            files: taken in turn, again and again.
            lane: to go another way than `lane_of` chooses.
            times: filled with the time of each stage.
        """
        self.subject = subject
        self._detector = detector
        times = times or StageTimes()
        lane = lane or lane_of(detector, subject.batch, times)
        self._in_hand = lane.runners + BATCHES_AHEAD
        items = (PhotoBytes(files[number % len(files)], f"photo {number}") for number in count())
        self._outcomes = detect_stream(detector, items, batch=subject.batch, times=times, keep_pixels=False, lane=lane)

    def time(self, runs: int) -> Round:
        """See `Timeable.time`. What was made ahead while others had their turn comes first, and is not counted."""
        self._take(self._in_hand)
        start = before = perf_counter()
        intervals = []
        for _ in range(runs):
            self._take(1)
            now = perf_counter()
            intervals.append(1e3 * (now - before))
            before = now
        return Round(tuple(intervals), 1e3 * (before - start))

    def close(self) -> None:
        """End the stream and free the model."""
        self._outcomes.close()
        self._detector.close()

    def _take(self, batches: int) -> None:
        for outcome in islice(self._outcomes, batches * self.subject.batch):
            if outcome.error:
                raise outcome.error
