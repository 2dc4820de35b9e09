"""Everything that a report tells, as data. `workflow` fills it; `report.json` is it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Form = Literal["ONNX", "engine"]


@dataclass(frozen=True)
class Time:
    """Milliseconds for one image, over many runs, and images a second.

    Attributes:
        spread: distance between the quartiles, relative to the median.
    """

    p50: float
    p90: float
    p99: float
    images_per_second: float
    spread: float = 0.0


@dataclass(frozen=True)
class Difference:
    """How what a model finds differs from what the reference finds (detrt.compare).

    Attributes:
        verdict, reason: `same`, `drifts` or `broken`, and the figures that say so.
        agreement, closeness: 0..1.
        counted: detections that score 0.3 or more in either.
        only_reference, only_model: those that one of both lacks.
        score_drift, box_drift: mean difference of a pair's scores, and of its boxes in pixels.
        worst: names of the photos that differ most, with their closeness.
    """

    verdict: str
    reason: str
    agreement: float
    closeness: float
    counted: int
    only_reference: int
    only_model: int
    score_drift: float
    box_drift: float
    worst: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Model:
    """A file that could ship, and what is known of it.

    Attributes:
        precision: `fp16`; of a quantised model, that of its quantised part.
        form: what kind of file.
        file: in the output folder; None where it was not made.
        bytes: of that file.
        recipe: how it was quantised; empty where it was not.
        runtime: what ran it; empty where nothing did.
        figures: COCO's, 0..100, by name; empty where it was not scored.
        error: standard error of its AP's difference from the reference's; None where it is not known.
        times: by protocol; empty where it was not timed.
        timed_on: the machine.
        difference: from the reference.
        missing: why something is not known, a sentence each.
    """

    precision: str
    form: Form
    file: str | None = None
    bytes: int | None = None
    recipe: str = ""
    runtime: str = ""
    figures: Mapping[str, float | None] = field(default_factory=dict)
    error: float | None = None
    times: Mapping[str, Time] = field(default_factory=dict)
    timed_on: str = ""
    difference: Difference | None = None
    missing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For example `INT8 engine`."""
        return f"{self.precision.upper()} {self.form}"

    @property
    def ap(self) -> float | None:
        """AP over IoU 0.50 to 0.95."""
        return self.figures.get("AP")


@dataclass(frozen=True)
class GroupLoss:
    """A part of the detector in one quantisation: what quantising it alone does, and how much of it stays float.

    Attributes:
        change: mean square of how far the detections move, summed over the part's products.
        macs, left: share (0..1) of the model's multiply-accumulates, and that of what was left float.
    """

    group: str
    change: float
    macs: float
    left: float


@dataclass(frozen=True)
class Quantization:
    """What the search of one precision decided, and where the tensors part.

    Attributes:
        macs_share: share (0..1) of the multiply-accumulates that is quantised.
        complete: whether the search ended by itself.
        agreement: with the float model on calibration photos, 0..100.
        photos: how the calibration photos were chosen.
        groups: in the order in which an image meets them; empty where there was no search.
        first_drift, looks_like, drift: the first tensor that drifts, what its difference looks like, and its size in
            standard deviations; empty where none does, or nobody looked.
    """

    precision: str
    macs_share: float
    complete: bool
    agreement: float
    photos: str
    groups: tuple[GroupLoss, ...] = ()
    first_drift: str = ""
    looks_like: str = ""
    drift: float = 0.0


@dataclass(frozen=True)
class EngineGroups:
    """Microseconds of an engine's layers by part of the detector, and its latency in milliseconds."""

    precision: str
    latency: float
    layers: int
    microseconds: Mapping[str, float]


@dataclass(frozen=True)
class StepLine:
    """A step of the workflow: what became of it, why, how long it took and where."""

    name: str
    state: str
    reason: str
    seconds: float
    machine: str


@dataclass(frozen=True)
class Command:
    """A command that repeats one step by hand, and what it does."""

    about: str
    line: str


@dataclass(frozen=True)
class Findings:
    """A whole workflow.

    Attributes:
        title: the model's name.
        about: its contract in a line.
        machine: where the last run was; facts and versions by name.
        made: UTC, when the last step ended.
        target_drop: AP that may be lost.
        photos: how many were scored.
        models: the reference (FP32 ONNX) first.
        commands: to repeat it.
    """

    title: str
    about: str
    machine: str
    facts: Mapping[str, str]
    versions: Mapping[str, str]
    made: str
    target_drop: float
    photos: int
    models: tuple[Model, ...]
    quantizations: tuple[Quantization, ...]
    engines: tuple[EngineGroups, ...]
    steps: tuple[StepLine, ...]
    commands: tuple[Command, ...]
    options: Mapping[str, Any]

    @property
    def reference(self) -> Model:
        """The model as it came."""
        return self.models[0]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)
