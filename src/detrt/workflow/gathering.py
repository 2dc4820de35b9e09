"""What the steps have left in the output folder, gathered for the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from detrt.benchmark.machine import this_machine
from detrt.benchmark.report import load_report
from detrt.evaluate import error_of_difference
from detrt.graph.macs import count_macs
from detrt.graph.onnx_file import load
from detrt.profile.load import profile_from_files
from detrt.quantize.groups import ORDER
from detrt.report.findings import (
    Difference,
    EngineGroups,
    Findings,
    GroupLoss,
    Model,
    Quantization,
    StepLine,
    Time,
)
from detrt.report.photos import Sample, samples_of
from detrt.workflow import artefact
from detrt.workflow.artefact import MODEL, REFERENCE, Artefact, engine_artefacts, onnx_artefacts
from detrt.workflow.commands import commands_of
from detrt.workflow.found import load_found
from detrt.workflow.making import contract_in
from detrt.workflow.options import NARROW, Precision
from detrt.workflow.plan import Site
from detrt.workflow.step import Outcome

WORST = 3


def findings_of(site: Site, outcomes: Sequence[Outcome]) -> Findings:
    """Everything that was measured, by the steps that are done; what others left in the folder is of another time."""
    options, here = site.options, this_machine()
    done = {outcome.step for outcome in outcomes if outcome.is_done}
    gathered = _Gathered(site.folder, done, {outcome.step: outcome for outcome in outcomes})
    models = [*onnx_artefacts(options), *engine_artefacts(options)]
    scores = gathered.read(REFERENCE.scores, f"score {REFERENCE.name}")
    return Findings(
        title=Path(options.model).stem,
        about=_about(site.folder),
        machine=site.here.title,
        facts=here.facts,
        versions=here.versions,
        made=max((outcome.at for outcome in outcomes), default="")[:16].replace("T", " ") + " UTC",
        target_drop=options.target_drop,
        photos=int(scores["photos"]) if scores else 0,
        models=tuple(gathered.model(made) for made in models),
        quantizations=tuple(filter(None, (gathered.quantization(precision) for precision in options.narrow))),
        engines=tuple(filter(None, (gathered.engine(made) for made in engine_artefacts(options)))),
        steps=tuple(_line(outcome) for outcome in outcomes),
        commands=commands_of(options, site.folder, done),
        options={name: list(value) if isinstance(value, tuple) else value for name, value in vars(options).items()},
    )


def samples(site: Site, name: str | None) -> list[Sample]:
    """Photos with what the reference and the model of that name found; none without one."""
    made = {f"{each.precision.upper()} {_form(each)}": each
            for each in (*onnx_artefacts(site.options), *engine_artefacts(site.options))}  # fmt: skip
    if name is None:
        return []
    reference, other = (load_found(site.folder / each.detections) for each in (REFERENCE, made[name]))
    return samples_of(reference, other, Path(site.options.images), contract_in(site.folder).class_names)


class _Gathered:
    """The files of the steps that are done."""

    def __init__(self, folder: Path, done: Collection[str], outcomes: Mapping[str, Outcome]) -> None:
        self._folder, self._done, self._outcomes = folder, done, outcomes
        self._times: dict[str, dict[str, Time]] = defaultdict(dict)
        self._runtimes: dict[str, tuple[str, str]] = {}
        for step, file in (("time ONNX", artefact.ONNX_TIMES), ("time engines", artefact.ENGINE_TIMES)):
            if step in done:
                self._read_times(file)

    def read(self, file: str, step: str) -> dict[str, Any]:
        """A step's JSON; empty where the step is not done."""
        content: dict[str, Any] = orjson.loads((self._folder / file).read_bytes()) if step in self._done else {}
        return content

    def model(self, made: Artefact) -> Model:
        """All that is known of a model."""
        maker = self._maker(made)
        scores = self.read(made.scores, f"score {made.name}")
        runtime, machine = self._runtimes.get(made.file, ("", ""))
        return Model(
            precision=made.precision,
            form=_form(made),
            file=made.file if maker in self._done else None,
            bytes=(self._folder / made.file).stat().st_size if maker in self._done else None,
            recipe=self._recipe(made),
            runtime=str(scores["runtime"]) if scores else runtime,
            figures=scores.get("figures", {}),
            error=self._error(made, scores),
            times=self._times.get(made.file, {}),
            timed_on=machine,
            difference=self._difference(made),
            missing=tuple(self._missing(maker, f"score {made.name}")),
        )

    def quantization(self, precision: Precision) -> Quantization | None:
        """What the search of a precision decided; None where it was not made."""
        told = self.read(artefact.quantization(precision), f"quantize {precision}")
        if not told:
            return None
        tensors = self.read(artefact.explanation(precision), f"explain {Artefact(precision, 'onnx').name}")
        first = tensors.get("first") or {}
        return Quantization(
            precision=precision,
            macs_share=told["macs_share"],
            complete=told["complete"],
            agreement=100 - told["judged"]["loss"]["points"],
            photos=told["photos"],
            groups=tuple(self._groups(told)),
            first_drift=first.get("name", ""),
            looks_like=first.get("looks_like", ""),
            drift=first.get("size", 0.0),
        )

    def engine(self, made: Artefact) -> EngineGroups | None:
        """An engine's time by part of the detector; None where it was not profiled."""
        if f"profile {made.name}" not in self._done:
            return None
        found = profile_from_files(self._folder / made.profile)
        latency = found.latency.median if found.latency else 0.0
        times = {share.name: share.time for share in found.by_group}
        return EngineGroups(made.precision, latency, len(found.layers), times)

    def _groups(self, told: Mapping[str, Any]) -> list[GroupLoss]:
        total = count_macs(load(self._folder / MODEL)).total or 1
        change: dict[str, float] = defaultdict(float)
        macs: dict[str, float] = defaultdict(float)
        left: dict[str, float] = defaultdict(float)
        for part in told["parts"]:
            change[part["part"]["group"]] += part["loss"]["change"]
            macs[part["part"]["group"]] += part["part"]["macs"] / total
        for _, group, share, _ in told["left_out"]:
            left[group] += share
        return [GroupLoss(name, change[name], macs[name], left[name]) for name in ORDER if name in change]

    def _error(self, made: Artefact, scores: Mapping[str, Any]) -> float | None:
        reference = self.read(REFERENCE.scores, f"score {REFERENCE.name}")
        if made == REFERENCE or not scores or not reference:
            return None
        return error_of_difference(reference["by_class"], scores["by_class"])

    def _difference(self, made: Artefact) -> Difference | None:
        it = self.read(made.comparison, f"compare {made.name}")
        if not it:
            return None
        worst = sorted(it["photos"], key=lambda photo: photo["closeness"])[:WORST]
        return Difference(
            verdict=it["verdict"],
            reason=it["reason"],
            agreement=it["agreement"],
            closeness=it["closeness"],
            counted=it["counted"],
            only_reference=it["only_first"],
            only_model=it["only_second"],
            score_drift=it["score_drift"]["mean"],
            box_drift=it["box_drift"]["mean"],
            worst=tuple((photo["name"], photo["closeness"]) for photo in worst),
        )

    def _recipe(self, made: Artefact) -> str:
        if made.precision not in NARROW:
            return ""
        told = self.read(artefact.quantization(made.precision), f"quantize {made.precision}")
        return f"{told['recipe']}, {100 * told['macs_share']:.1f} % of the MACs" if told else ""

    def _maker(self, made: Artefact) -> str:
        if made.form == "engine":
            return f"build {made.name}"
        return f"quantize {made.precision}" if made.precision in NARROW else "export"

    def _missing(self, *steps: str) -> list[str]:
        return [f"{step}: {self._outcomes[step].reason}" for step in steps if step not in self._done]

    def _read_times(self, file: str) -> None:
        told = load_report(self._folder / file)
        machine = told.machine.facts.get("gpu") or told.machine.facts["cpu"]
        for row in told.rows:
            time = Time(row.p50, row.p90, row.p99, row.images_per_second, row.spread)
            self._times[row.subject.model][row.subject.protocol] = time
            self._runtimes[row.subject.model] = row.subject.runtime, machine


def _form(made: Artefact) -> Any:
    return "ONNX" if made.form == "onnx" else "engine"


def _line(outcome: Outcome) -> StepLine:
    """A step for the report, which does not tell in how many runs the steps were done."""
    state = "done" if outcome.is_done else outcome.state
    return StepLine(outcome.step, state, outcome.reason, outcome.seconds, outcome.machine)


def _about(folder: Path) -> str:
    contract, macs = contract_in(folder), count_macs(load(folder / MODEL)).total
    height, width = contract.input_size
    named = " ".join(word for word in (contract.family, contract.variant) if word != "unknown")
    size = f"{height} × {width} pixels, {len(contract.class_names)} classes, {macs / 1e9:.2f} GMACs an image"
    return f"{named}, {size}" if named else size
