"""What a benchmark found, as numbers: one `Timings` a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Protocol = Literal["engine", "infer", "e2e", "stream"]


@dataclass(frozen=True)
class Subject:
    """What is timed.

    Attributes:
        model: name of the file.
        runtime: what runs it, with its version.
        precision: `fp32`, `fp16`, ...; empty where the file does not say.
        device: `cpu`, `cuda:0`.
        protocol: where the clock starts and stops; see the package.
        batch: images a run.
        graph: launched as a CUDA graph; None where there is no such thing.
        streams: runs under way at once.
    """

    model: str
    runtime: str
    precision: str
    device: str
    protocol: Protocol
    batch: int = 1
    graph: bool | None = None
    streams: int = 1

    def __str__(self) -> str:
        """For example `model.engine, TensorRT-RTX 1.6.1 (fp16): engine, batch 8, CUDA graph, 2 streams`."""
        return f"{self.model}, {self.runtime}: {self.how}"

    @property
    def how(self) -> str:
        """Protocol, batch and the rest."""
        words = [self.protocol, f"batch {self.batch}"]
        if self.graph is not None:
            words.append("CUDA graph" if self.graph else "kernel by kernel")
        if self.streams > 1:
            words.append(f"{self.streams} streams")
        return ", ".join(words)


@dataclass(frozen=True)
class Timings:
    """Times of one run (a batch) of a subject, in milliseconds.

    Attributes:
        runs: how many were timed.
        mean, minimum, p50, p90, p99: over all of them.
        spread: distance between the quartiles, relative to the median: how far to trust the others.
        images_per_second: images over the time that the runs took together, however many streams shared it.
        rounds: median of each round, in order; the subjects of a benchmark take turns by rounds.
        clocks_mhz: lowest and highest clock of the GPU's processors seen right after its rounds.
        warm_up_runs: how many it took until two rounds agreed.
        settled: whether they ever did.
    """

    subject: Subject
    runs: int
    mean: float
    minimum: float
    p50: float
    p90: float
    p99: float
    spread: float
    images_per_second: float
    rounds: tuple[float, ...]
    clocks_mhz: tuple[int, int] | None = None
    warm_up_runs: int = 0
    settled: bool = True


@dataclass(frozen=True)
class Round:
    """One turn of a subject: the time of each run, and the time until all were done, in milliseconds."""

    runs: tuple[float, ...]
    wall: float


def timings_from(
    subject: Subject,
    rounds: Sequence[Round],
    *,
    clocks: Sequence[int] = (),
    warm_up_runs: int = 0,
    settled: bool = True,
) -> Timings:
    """Summarise `rounds`, of which there is at least one.

    With several streams the runs overlap, so the throughput comes from the wall; with one, from the runs themselves,
    which leave out what the host does between them.
    """
    values = np.array([value for turn in rounds for value in turn.runs])
    low, middle, high, slow, slowest = np.percentile(values, [25, 50, 75, 90, 99])
    busy = sum(turn.wall for turn in rounds) if subject.streams > 1 else values.sum()
    return Timings(
        subject=subject,
        runs=len(values),
        mean=float(values.mean()),
        minimum=float(values.min()),
        p50=float(middle),
        p90=float(slow),
        p99=float(slowest),
        spread=float((high - low) / middle) if middle else 0.0,
        images_per_second=float(1e3 * subject.batch * len(values) / busy) if busy else 0.0,
        rounds=tuple(float(np.median(turn.runs)) for turn in rounds),
        clocks_mhz=(min(clocks), max(clocks)) if clocks else None,
        warm_up_runs=warm_up_runs,
        settled=settled,
    )


def ratio(one: Timings, other: Timings) -> tuple[float, float, float]:
    """Time of `one` over time of `other`, for an image: the median of their rounds' ratios, 10th and 90th percentile.

    Rounds are compared with their neighbours in time, so what drifts (clocks, heat, other users) cancels out.
    """
    count = min(len(one.rounds), len(other.rounds))
    ratios = np.array(one.rounds[:count]) / np.array(other.rounds[:count]) * other.subject.batch / one.subject.batch
    low, middle, high = np.percentile(ratios, [10, 50, 90])
    return float(middle), float(low), float(high)
