"""Which model to ship on this machine, and why: the fastest of those that keep their accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detrt.report.findings import Findings, Model

TIE = 0.02
"""Times closer than this are the same: the wider precision wins then. Twice what `detrt bench` takes for settled."""

SMALL_SET = 1000
"""Fewer photos than this have an AP of their own: the first 150 of our 535 of COCO give 40.4 where all give 31.2."""

CLOSE = 2.0
"""A loss this many standard errors from the limit, or nearer, may as well lie on its other side."""

RESTLESS = 0.1
"""A spread of the times beyond this says that something else used the machine."""

_WIDEST_FIRST = ("fp32", "tf32", "bf16", "fp16", "int8", "fp8")
_BY = "engine"  # the protocol that ranks: what follows it is the same for every model


@dataclass(frozen=True)
class Verdict:
    """What to do.

    Attributes:
        headline: in half a sentence.
        ships: the model; None where none can be recommended.
        reasons: sentences that say why.
        cautions: sentences that say what it does not stand on.
        notes: what was decided on each model, by its name.
    """

    headline: str
    ships: Model | None
    reasons: tuple[str, ...]
    cautions: tuple[str, ...]
    notes: dict[str, str]


def judge(findings: Findings) -> Verdict:
    """Decide. Engines are judged where any was scored here, ONNX files otherwise."""
    reference, models = findings.reference, findings.models
    engines = [model for model in models if model.form == "engine"]
    pool = [model for model in engines if model.ap is not None] or [m for m in models if m.form == "ONNX"]
    kept = [model for model in pool if _drop(model, reference) <= findings.target_drop]
    ships = _fastest(kept)
    notes = {model.name: _note(model, reference, findings.target_drop, ships, pool) for model in models}
    cautions = (*_cautions(findings, ships, engines), *_doubts(findings, pool))
    if reference.ap is None:
        return Verdict("No verdict: nothing was scored", None, (), cautions, notes)
    if ships is None:
        headline = f"Ship none of these: each loses more than {findings.target_drop:g} AP"
        return Verdict(headline, None, (_losses(pool, reference),), cautions, notes)
    by = "" if ships.form == "engine" else " with ONNX Runtime"
    return Verdict(f"Ship {ships.file}{by}", ships, tuple(_reasons(findings, ships, pool)), cautions, notes)


def speed_up(model: Model, models: Sequence[Model]) -> tuple[float, Model] | None:
    """How many times as fast as the FP32 model of its form it is, and that model; None where either was not timed."""
    beside = next((m for m in models if m.form == model.form and m.precision == "fp32" and _BY in m.times), None)
    if beside is None or beside is model or _BY not in model.times:
        return None
    return beside.times[_BY].p50 / model.times[_BY].p50, beside


def against(model: Model, reference: Model) -> str:
    """What its AP is more than the reference's, with the standard error where that is known; empty without both."""
    if model is reference or model.ap is None or reference.ap is None:
        return ""
    return signed(model.ap - reference.ap) + _more_or_less(model)


def signed(difference: float) -> str:
    """A difference of AP with a typographer's minus."""
    return f"{difference:+.2f}".replace("-", "−")


def _fastest(kept: Sequence[Model]) -> Model | None:
    """The fastest; among equals the widest; where nothing was timed, the most accurate."""
    timed = [model for model in kept if _BY in model.times]
    if not timed:
        return max(kept, key=lambda model: model.ap or 0.0, default=None)
    least = min(model.times[_BY].p50 for model in timed)
    equals = [model for model in timed if model.times[_BY].p50 <= (1 + TIE) * least]
    return min(equals, key=lambda model: _WIDEST_FIRST.index(model.precision))


def _drop(model: Model, reference: Model) -> float:
    if model.ap is None or reference.ap is None:
        return float("inf")
    return reference.ap - model.ap


def _reasons(findings: Findings, ships: Model, pool: Sequence[Model]) -> list[str]:
    reference = findings.reference
    assert ships.ap is not None
    if ships is reference:
        said = [f"It is the model as it came: AP {ships.ap:.2f} on {findings.photos} photos."]
    else:
        said = [
            f"It keeps its accuracy: AP {ships.ap:.2f} on {findings.photos} photos, "
            f"{against(ships, reference)} against the float model's {_ap(reference):.2f}, "
            f"where {findings.target_drop:g} may be lost."
        ]
    if _BY in ships.times:
        time = ships.times[_BY].p50
        gained = speed_up(ships, findings.models)
        rate = f", {gained[0]:.2f} times as fast as the {gained[1].name}" if gained else ""
        rivals = [model for model in pool if model is not ships and _BY in model.times]
        first = f"It is the fastest of the {len(rivals) + 1} that were timed" if rivals else "It takes"
        said.append(f"{first}{':' if rivals else ''} {time:.3g} ms an image on {_place(ships)}{rate}.")
    for model in pool:
        faster = _BY in model.times and _BY in ships.times and model.times[_BY].p50 < (1 - TIE) * ships.times[_BY].p50
        if faster and model.ap is not None:
            loses = f"{_drop(model, reference):.2f}{_more_or_less(model)}"
            said.append(f"The {model.name} is faster, but loses {loses} AP.")
    return said


def _cautions(findings: Findings, ships: Model | None, engines: Sequence[Model]) -> tuple[str, ...]:
    said = []
    scored = [model for model in engines if model.ap is not None]
    if engines and not scored:
        why = next(
            (step.reason for step in findings.steps if step.name.startswith("score") and "engine" in step.name), ""
        )
        said.append(
            f"No engine was judged here{f' ({why})' if why else ''}: the verdict is about ONNX Runtime on this machine "
            "and says nothing of a GPU. Finish the workflow where there is one."
        )
    failed = [step for step in findings.steps if step.state == "failed"]
    if failed:
        said.append(f"{len(failed)} of {len(findings.steps)} steps failed: {', '.join(step.name for step in failed)}.")
    if ships is not None and not ships.times:
        said.append("Nothing was timed, so the most accurate is named and not the fastest.")
    spread = max((model.times[_BY].spread for model in findings.models if _BY in model.times), default=0.0)
    if spread > RESTLESS:
        said.append(
            f"The machine was busy while it timed: half of the runs lie {100 * spread:.0f} % apart, so times are rough."
        )
    for model in scored:
        twin = next((m for m in findings.models if m.form == "ONNX" and m.precision == model.precision), None)
        if twin and twin.ap is not None and _drop(model, twin) > max(1.0, findings.target_drop):
            said.append(
                f"The {model.name} has {_drop(model, twin):.1f} AP less than its own ONNX file: the builder broke it. "
                f"detrt repair {twin.file} --images PHOTOS may mend it."
            )
    return tuple(said)


def _doubts(findings: Findings, pool: Sequence[Model]) -> list[str]:
    """What too few photos leave open."""
    said, reference, limit = [], findings.reference, findings.target_drop
    close = [m for m in pool if m.error and m.ap is not None and abs(_drop(m, reference) - limit) < CLOSE * m.error]
    if close:
        told = ", ".join(f"{model.name} ({against(model, reference)} AP)" for model in close)
        said.append(
            f"Too close to call on {findings.photos} photos, where {limit:g} may be lost: {told}. "
            "Score on more before you rely on it."
        )
    if 0 < findings.photos < SMALL_SET:
        said.append(
            f"{findings.photos} photos have an AP of their own: compare it between these models, not with other sets'."
        )
    return said


def _note(model: Model, reference: Model, allowed: float, ships: Model | None, pool: Sequence[Model]) -> str:
    """What was decided on a model, in a few words."""
    if model is ships:
        return "ships"
    if model.ap is None:
        return "not scored" if model.file else "not made"
    if _drop(model, reference) > allowed:
        return f"loses {_drop(model, reference):.2f} AP"
    if model is reference and model not in pool:
        return "the reference"
    if model not in pool:
        return "keeps its AP"
    if ships is not None and _BY in model.times and _BY in ships.times:
        ratio = model.times[_BY].p50 / ships.times[_BY].p50
        return f"{ratio:.2f} × the time" if ratio > 1 + TIE else "as fast"
    return "keeps its AP"


def _losses(pool: Sequence[Model], reference: Model) -> str:
    told = ", ".join(f"{model.name} {against(model, reference)}" for model in pool if model.ap is not None)
    return f"Against the float model's AP of {_ap(reference):.2f}: {told}."


def _more_or_less(model: Model) -> str:
    return "" if model.error is None else f" ± {model.error:.2f}"


def _ap(model: Model) -> float:
    assert model.ap is not None
    return model.ap


def _place(model: Model) -> str:
    return f"{model.timed_on} ({model.runtime})" if model.timed_on else model.runtime
