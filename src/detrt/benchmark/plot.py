"""A benchmark as a picture: one bar a row, with the spread of its rounds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from detrt.benchmark.report import BenchmarkReport
from detrt.benchmark.timings import Timings
from detrt.extras import require
from detrt.files import whole

_COLOURS = {"tensorrt": "#76b900", "onnx": "#6b7fd7", "pytorch": "#ee7f57"}
_OTHER = "#8a8f98"


def plot(report: BenchmarkReport, path: str | os.PathLike[str]) -> None:
    """Draw milliseconds an image, fastest possible reading first: short bars are good.

    Bars reach the median; the whisker ends at p99; the text gives the median and images a second.

    Args:
        report: with at least one row.
        path: PNG, SVG or PDF, by its suffix.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    pyplot = require("matplotlib.pyplot", extra="plot", purpose="Drawing a benchmark")
    pyplot.switch_backend("agg")
    rows = report.rows
    figure, axes = pyplot.subplots(figsize=(10, 1.4 + 0.7 * len(rows)), layout="constrained")
    places = np.arange(len(rows))[::-1]
    medians = np.array([row.p50 / row.subject.batch for row in rows])
    slowest = np.array([row.p99 / row.subject.batch for row in rows])
    axes.barh(places, medians, height=0.62, color=[_colour(row) for row in rows], zorder=2)
    axes.hlines(places, medians, slowest, color="#333333", linewidth=1.2, zorder=3)
    axes.plot(slowest, places, "|", color="#333333", markersize=8, zorder=3)
    for place, row, end in zip(places, rows, slowest, strict=True):
        text = f"{row.p50 / row.subject.batch:.3g} ms   {row.images_per_second:,.0f} images/s"
        axes.annotate(text, (end, place), (6, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(
        places, [f"{row.subject.model}\n{row.subject.runtime}\n{row.subject.how}" for row in rows], fontsize=9
    )
    axes.set_xlim(0, 1.35 * float(slowest.max()))
    axes.set_xlabel("milliseconds an image (bar: median, whisker: p99)")
    axes.grid(axis="x", color="#dddddd", zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(report.machine.facts.get("gpu", report.machine.facts.get("cpu", "")), loc="left", fontsize=11)
    with whole(path) as part:
        figure.savefig(part, dpi=160, format=Path(path).suffix.lstrip(".") or "png")
    pyplot.close(figure)


def _colour(row: Timings) -> str:
    name = row.subject.runtime.lower()
    return next((colour for key, colour in _COLOURS.items() if name.startswith(key)), _OTHER)
