"""Findings as three files: a page that holds everything itself, the same as Markdown, and all of it as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from detrt.errors import MissingExtraError
from detrt.files import save_json, whole
from detrt.profile.groups import GROUPS
from detrt.report import plots
from detrt.report.findings import EngineGroups, Findings, Quantization, StepLine
from detrt.report.photos import Sample
from detrt.report.verdict import Verdict, against, judge, speed_up

HTML, MARKDOWN, JSON = "report.html", "report.md", "report.json"


def write_report(findings: Findings, samples: Sequence[Sample], folder: Path) -> Verdict:
    """Write the three files, each whole; what they say of the models is decided here.

    Args:
        findings: everything measured.
        samples: photos for the page, of the reference and of the model that `compared_with` names.
        folder: where to.
    """
    verdict = judge(findings)
    texts = {HTML: page_of(findings, verdict, samples), MARKDOWN: markdown_of(findings, verdict)}
    for name, text in texts.items():
        with whole(folder / name) as part:
            part.write_text(text, encoding="utf-8")
    ships = verdict.ships.name if verdict.ships else None
    content = {"verdict": asdict(verdict) | {"ships": ships}} | findings.to_json()
    save_json(folder / JSON, content)
    return verdict


def page_of(findings: Findings, verdict: Verdict, samples: Sequence[Sample]) -> str:
    """The page. It loads nothing from anywhere."""
    before, after = engines_of(findings, verdict)
    scatter, no_plots = _drawn(partial(plots.speed_and_accuracy, findings, verdict))
    sensitivities = [(found, _drawn(partial(plots.sensitivity, found))[0]) for found in findings.quantizations]
    bars = _drawn(partial(plots.groups_before_and_after, before, after))[0] if before and after else Markup()
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            **_told(findings, verdict),
            scatter=scatter,
            sensitivities=[(found, svg) for found, svg in sensitivities if svg],
            before=before,
            after=after,
            bars=bars,
            parts=_parts(before, after) if before and after else [],
            no_profile=next((step.reason for step in findings.steps if step.name.startswith("profile")), ""),
            no_plots=no_plots,
            samples=samples,
            compared=compared_with(findings, verdict),
        )
    )


def markdown_of(findings: Findings, verdict: Verdict) -> str:
    """The same without pictures, for a pull request or a terminal."""
    environment = _environment()
    environment.autoescape = False
    return environment.get_template("report.md.j2").render(**_told(findings, verdict))


def compared_with(findings: Findings, verdict: Verdict) -> str | None:
    """Name of the model whose detections are shown beside the reference's: the one that ships, or the next best."""
    others = [model for model in findings.models[1:] if model.difference]
    if verdict.ships in others:
        return verdict.ships.name if verdict.ships else None
    return max(others, key=lambda model: model.ap or 0.0).name if others else None


def engines_of(findings: Findings, verdict: Verdict) -> tuple[EngineGroups | None, EngineGroups | None]:
    """The engine to start from, and the one that ships (or the fastest other); None where there are no two."""
    known = {engine.precision: engine for engine in findings.engines}
    before = known.pop("fp32", None)
    chosen = verdict.ships.precision if verdict.ships else ""
    after = known.get(chosen) or min(known.values(), key=lambda engine: engine.latency, default=None)
    return before, after


def _parts(before: EngineGroups, after: EngineGroups) -> list[tuple[str, float, float]]:
    """Each part of the detector with its microseconds in both engines."""
    old, new = before.microseconds, after.microseconds
    return [(name, old.get(name, 0.0), new.get(name, 0.0)) for name in GROUPS if name in old or name in new]


def _told(findings: Findings, verdict: Verdict) -> dict[str, object]:
    return {
        "findings": findings,
        "verdict": verdict,
        "speed_up": speed_up(verdict.ships, findings.models) if verdict.ships else None,
        "undone": _by_reason(findings.steps),
        "done": [step for step in findings.steps if step.state == "done"],
        "timed": any(model.times for model in findings.models),
        "left_float": {found.precision: _left_float(found) for found in findings.quantizations},
    }


def _by_reason(steps: Sequence[StepLine]) -> list[tuple[str, str, list[str]]]:
    """State, reason and names of the steps that were not done, those of one reason together."""
    undone = sorted((s for s in steps if s.state != "done"), key=lambda s: (s.state, s.reason))
    groups = groupby(undone, key=lambda step: (step.state, step.reason))
    return [(_SAID.get(state, state), reason, [step.name for step in group]) for (state, reason), group in groups]


_SAID = {"impossible": "not here"}  # as the command line says it: another machine may be able to


def _left_float(found: Quantization) -> list[str]:
    """The parts of which more stays float than is quantised, by name."""
    return [group.group for group in found.groups if group.left > group.macs / 2]


def _drawn(draw: Callable[[], str]) -> tuple[Markup, str]:
    """A plot, or why there is none."""
    try:
        return Markup(draw()), ""
    except MissingExtraError as error:
        return Markup(), str(error)


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("detrt.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"against": against, "ap": _ap, "ms": _milliseconds, "mb": _megabytes, "percent": _percent,
                     "sentence": _sentence, "span": _span}  # fmt: skip
    return made


def _ap(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.2f}"


def _milliseconds(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _megabytes(value: int | None) -> str:
    return "–" if value is None else f"{value / 1e6:.1f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _sentence(reason: str) -> str:
    """A reason by itself: with a capital and a full stop."""
    return f"{reason[:1].upper()}{reason[1:].rstrip('.')}."


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
