"""Sensitivities as JSON and as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from detrt.extras import require
from detrt.files import whole
from detrt.quantize.sensitivity import PartLoss


def save(parts: Sequence[PartLoss], path: Path) -> None:
    """Write every figure as JSON: a list of parts, each with its products' keys and losses."""
    with whole(path) as part:
        part.write_text(json.dumps([asdict(found) for found in parts], indent=1, default=sorted))


def draw(parts: Sequence[PartLoss], macs: int, path: Path, *, title: str) -> None:
    """Draw what each part costs beside what it saves.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib", extra="plot", purpose="Drawing")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1 + 0.3 * len(parts)), layout="constrained")
    cost, saving = figure.subplots(1, 2, sharey=True)
    names = [found.part.name for found in parts]
    with_ap = all(found.ap_drop is not None for found in parts)
    cost.barh(names, [found.ap_drop or 0.0 if with_ap else found.loss.points for found in parts], color="#c44e52")
    cost.set_xlabel("AP lost" if with_ap else "points of agreement lost")
    cost.axvline(0, color="black", linewidth=0.5)
    saving.barh(names, [100 * found.part.macs / max(macs, 1) for found in parts], color="#4c72b0")
    saving.set_xlabel("% of the MACs")
    cost.invert_yaxis()
    figure.suptitle(title)
    with whole(path) as part:
        figure.savefig(part, format=path.suffix.removeprefix(".") or "png")
