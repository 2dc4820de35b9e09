"""What is said of a quantised model: what is narrow in it, what is not and why, and what that costs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from detrt.files import whole
from detrt.quantize.engines import EngineVerdict
from detrt.quantize.formats import Precision
from detrt.quantize.measure import Loss
from detrt.quantize.recipe import Recipe
from detrt.quantize.search import Found
from detrt.quantize.sensitivity import PartLoss
from detrt.quantize.workbench import Workbench

Rest = Literal["fp32", "fp16"]


@dataclass(frozen=True)
class Judged:
    """What was measured on the model that ships.

    Attributes:
        loss: against the float model, on calibration photos.
        ap, float_ap: COCO AP of it and of the float model, where labels were given.
    """

    loss: Loss
    ap: float | None = None
    float_ap: float | None = None

    @property
    def ap_drop(self) -> float | None:
        """AP that quantisation has cost."""
        return None if self.ap is None or self.float_ap is None else self.float_ap - self.ap


@dataclass(frozen=True)
class Report:
    """What was done and what came of it.

    Attributes:
        output: the model that ships.
        precision, recipe, rest: as asked.
        photos: how the calibration photos were chosen.
        macs_share: share (0..1) of the multiply-accumulates of convolutions and matrix products that are quantised.
        left_out: what stays float, as (name, group, share of the multiply-accumulates, why).
        parts: what each part lost alone; empty where no search was made.
        target_drop: as asked.
        complete: False where the budget ended the search early.
        judged: measured on the model that ships.
        drop_bound: AP that a search relies on not to have lost, without having seen labels; None without a search.
        engine: its engine beside FP16's, or why there is none.
        seconds: of the whole.
    """

    output: str
    precision: Precision
    recipe: str
    rest: Rest
    photos: str
    macs_share: float
    left_out: tuple[tuple[str, str, float, str], ...]
    parts: tuple[PartLoss, ...]
    target_drop: float | None
    complete: bool
    judged: Judged
    drop_bound: float | None
    engine: EngineVerdict | str
    seconds: float

    def save(self, path: Path) -> None:
        """Write as JSON."""
        with whole(path) as part:
            part.write_text(json.dumps(asdict(self), indent=1, default=sorted))


def left_out(
    bench: Workbench, keys: frozenset[str], recipe: Recipe, found: Found | None
) -> tuple[tuple[str, str, float, str], ...]:
    """Every product that stays float, with why, largest first."""
    losses = {key: part for part in (found.parts if found else ()) for key in part.part.keys}
    total = max(bench.macs, 1)
    rows = []
    for product in bench.products:
        if product.key in keys:
            continue
        part = losses.get(product.key)
        if part:
            why = f"moves the detections by {part.loss.change:.2g} alone"
        elif found and product.depthwise:
            why = "depthwise: next to no work, for which TensorRT may have no narrow kernel but a slow one"
        else:
            why = f"the recipe {recipe.name} says so"
        rows.append((product.name, bench.groups[product.key], product.macs / total, why))
    return tuple(sorted(rows, key=lambda row: (-row[2], row[0])))
