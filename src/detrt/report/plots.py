"""The report's plots: drawn by Matplotlib, with colours that the page's style sheet sets, for light, dark and paper."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from detrt.extras import require
from detrt.profile.groups import GROUPS
from detrt.profile.palette import precision_color
from detrt.report.findings import EngineGroups, Findings, Model, Quantization
from detrt.report.verdict import Verdict

WIDTH = 5.4  # inches: small, so that its text stays readable on a phone

LABEL = (0.17, 0.13)  # room that a point's label takes, as shares of the axes

INK, SOFT, LINE, BAND, BAR, FAINT = "#000001", "#000002", "#000003", "#000004", "#000005", "#000006"
_VARIABLES = {INK: "ink", SOFT: "soft", LINE: "line", BAND: "band", BAR: "bar", FAINT: "faint"}
"""Colours that stand for variables of the style sheet; no plot uses them as colours."""


def speed_and_accuracy(findings: Findings, verdict: Verdict) -> str:
    """AP over milliseconds, one point a model; empty where fewer than two were both scored and timed.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    shown = [model for model in findings.models if model.ap is not None and "engine" in model.times]
    if len(shown) < 2 or findings.reference.ap is None:
        return ""
    reference, allowed = findings.reference.ap, findings.target_drop
    figure, axes = _figure(3.5)
    low = min([*((model.ap or 0.0) - (model.error or 0.0) for model in shown), reference - allowed])
    high = max([*((model.ap or 0.0) + (model.error or 0.0) for model in shown), reference])
    margin = max(0.25 * (high - low), 0.3)
    slowest = max(model.times["engine"].p50 for model in shown)
    axes.set(xlim=(0, 1.28 * slowest), ylim=(low - margin, high + margin))
    axes.axhspan(reference - allowed, high + margin, color=BAND, linewidth=0)
    axes.axhline(reference, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.annotate(
        f"float model {reference:.2f}; shaded: at most {allowed:g} lost",
        (0.0, 1.0), (4, -5), xycoords="axes fraction", textcoords="offset points", color=SOFT, fontsize=7.5, va="top",
    )  # fmt: skip
    ordered = sorted(shown, key=lambda each: each.times["engine"].p50)
    places = [axes.transLimits.transform((model.times["engine"].p50, model.ap)) for model in ordered]
    for number, model in enumerate(ordered):
        near = [other for other in (number - 1, number + 1) if 0 <= other < len(places)
                and all(abs(places[number] - places[other]) < LABEL)]  # fmt: skip
        side = "right" if not near else "below" if near[0] < number else "above"
        _point(axes, model, ships=model is verdict.ships, side=side)
    axes.set_xlabel(f"milliseconds an image, {_where(shown)}", color=SOFT)
    axes.set_ylabel("AP", color=SOFT)
    return _svg(figure, "Accuracy over time of each model")


def sensitivity(found: Quantization) -> str:
    """What each part of the detector costs when it is quantised alone, beside how much of it was; empty without search.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    if not found.groups:
        return ""
    figure, (cost, share) = _figure(0.9 + 0.21 * len(found.groups), columns=2)
    names = [group.group for group in found.groups]
    cost.barh(names, [1e3 * group.change for group in found.groups], color=precision_color(found.precision.upper()))
    cost.set_xlabel("detections moved, ‰", color=SOFT)
    done = [100 * (group.macs - group.left) for group in found.groups]
    share.barh(names, done, color=BAR)
    share.barh(names, [100 * group.left for group in found.groups], left=done, color=FAINT)
    share.set_xlabel("% of the work: quantised, left float", color=SOFT)
    cost.invert_yaxis()
    for axes in (cost, share):
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
    return _svg(figure, f"Sensitivity of each part to {found.precision.upper()}")


def groups_before_and_after(before: EngineGroups, after: EngineGroups) -> str:
    """Microseconds of each part of the detector in two engines.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    names = [name for name in GROUPS if name in before.microseconds or name in after.microseconds]
    figure, axes = _figure(0.9 + 0.3 * len(names))
    places = range(len(names))
    for shift, engine, color in ((-0.2, before, FAINT), (0.2, after, precision_color(after.precision.upper()))):
        axes.barh(
            [place + shift for place in places],
            [engine.microseconds.get(name, 0.0) for name in names],
            height=0.38,
            color=color,
            label=f"{engine.precision.upper()}, {engine.latency:.3f} ms, {engine.layers} layers",
        )
    axes.set_yticks(list(places), names)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("µs, layers profiled one at a time", color=SOFT)
    legend = axes.legend(frameon=False, fontsize=8, loc="lower right", labelcolor=INK)
    legend.set_zorder(5)
    return _svg(figure, "Time of each part of the detector, before and after")


def _point(axes: Any, model: Model, *, ships: bool, side: str) -> None:
    """A mark, and on one side of it what it is."""
    x, y = model.times["engine"].p50, model.ap
    color = precision_color(model.precision.upper())
    if ships:
        axes.plot(x, y, "o", markersize=15, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.2, zorder=3)
    axes.plot(x, y, "o" if model.form == "engine" else "D", markersize=8, color=color, zorder=4)
    if model.error:
        axes.errorbar(x, y, model.error, fmt="none", ecolor=color, elinewidth=1.2, capsize=3, zorder=2)
    offset, vertical = {"right": ((12, 0), "center"), "below": ((0, -12), "top"), "above": ((0, 12), "bottom")}[side]
    axes.annotate(
        f"{model.precision.upper()}\n{x:.3g} ms", (x, y), offset, textcoords="offset points", va=vertical,
        ha="left" if side == "right" else "center", color=INK, fontsize=8.5, fontweight="bold" if ships else "normal",
    )  # fmt: skip


def _where(shown: Sequence[Model]) -> str:
    return "on the GPU" if any(model.form == "engine" for model in shown) else "ONNX Runtime on the CPU"


def _figure(height: float, *, columns: int = 1) -> tuple[Any, Any]:
    require("matplotlib", extra="plot", purpose="Drawing the report's plots")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="none")
    made = figure.subplots(1, columns, sharey=columns > 1)
    for axes in [made] if columns == 1 else made:
        axes.set_facecolor("none")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(LINE)
        axes.tick_params(colors=SOFT, labelcolor=INK, labelsize=8.5, length=3)
        axes.grid(color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.xaxis.label.set_size(8.5)
        axes.yaxis.label.set_size(8.5)
    return figure, made


def _svg(figure: Any, about: str) -> str:
    """Inline SVG: text stays text, sizes are the page's, and colours are variables."""
    import matplotlib

    drawn = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": about}):
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"(?<=<svg) ", f' role="img" aria-label="{about}" ', text, count=1)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    for color, variable in _VARIABLES.items():
        text = text.replace(color, f"var(--{variable})")
    return text
