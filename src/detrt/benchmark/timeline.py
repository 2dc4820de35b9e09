"""Where a stream's time goes, as a picture: one line a thread, one colour a stage."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from detrt.extras import require
from detrt.files import whole
from detrt.stages import Span

_COLOURS = ("#6b7fd7", "#76b900", "#ee7f57", "#f2c14e", "#4aa3a2", "#8a8f98")


def plot_timeline(spans: Sequence[Span], path: str | os.PathLike[str], *, milliseconds: float = 50.0) -> None:
    """Draw the last `milliseconds` of the spans.

    Args:
        spans: see `StageTimes`; at least one.
        path: PNG, SVG or PDF, by its suffix.
        milliseconds: how much of it; more is too fine to see.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    pyplot = require("matplotlib.pyplot", extra="plot", purpose="Drawing a timeline")
    pyplot.switch_backend("agg")
    end = max(span.end for span in spans)
    begin = max(end - milliseconds / 1e3, min(span.start for span in spans))
    shown = [span for span in spans if span.end > begin]
    threads = sorted({span.thread for span in shown}, reverse=True)
    stages = list(dict.fromkeys(span.stage for span in sorted(spans, key=lambda span: span.start)))
    figure, axes = pyplot.subplots(figsize=(11, 1.5 + 0.28 * len(threads)), layout="constrained")
    for number, stage in enumerate(stages):
        for line, thread in enumerate(threads):
            bars = [
                (1e3 * (max(span.start, begin) - begin), 1e3 * (span.end - max(span.start, begin)))
                for span in shown
                if (span.stage, span.thread) == (stage, thread)
            ]
            axes.broken_barh(bars, (line - 0.4, 0.8), color=_COLOURS[number % len(_COLOURS)], linewidth=0)
        axes.plot([], [], linewidth=8, color=_COLOURS[number % len(_COLOURS)], label=stage)
    axes.set_yticks(range(len(threads)), threads, fontsize=8)
    axes.set_xlim(0, 1e3 * (end - begin))
    axes.set_xlabel("milliseconds")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(ncols=len(stages), loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=9)
    with whole(path) as part:
        figure.savefig(part, dpi=160, format=Path(path).suffix.lstrip(".") or "png")
    pyplot.close(figure)
