"""What a quantised model loses, measured once and remembered, so that an interrupted search goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import onnx

from detrt.contract import ModelContract
from detrt.detections import Detections
from detrt.files import naming
from detrt.progress import Progress, silent
from detrt.quantize.agreement import Agreement, detections_of
from detrt.quantize.calibration import CalibrationSet
from detrt.quantize.quantizer import Quantizer

FOUR_IN_FIVE = 0.8416
"""Standard errors up to the 80 % quantile of a normal distribution."""


@dataclass(frozen=True)
class Loss:
    """What quantisation did to the detections.

    Attributes:
        points: 100 minus the agreement with the float model; says how much is lost.
        change: see `Agreement.change`; says which of two small losses is the smaller.
        error: standard error of `points`, see `Agreement.error`; None where nobody asked.
    """

    points: float
    change: float
    error: float | None = None

    @property
    def bound(self) -> float:
        """What is lost at most on as many other photos, four times in five."""
        return self.points + FOUR_IN_FIVE * (self.error or 0.0)


class Reference:
    """The float model's own detections, run once for as many photos as anybody asks for."""

    def __init__(self, model: onnx.ModelProto, contract: ModelContract, photos: CalibrationSet) -> None:
        self._model, self.contract, self.photos = model, contract, photos
        self._found: list[Detections] = []
        self._asked = 0
        self._truth: dict[int, Agreement] = {}

    def truth(self, count: int, progress: Progress = silent) -> Agreement:
        """What to score others against on the first `count` photos, or on all where there are fewer."""
        if len(self._found) == self._asked < count:  # else the photos have run out
            chosen = self.photos.first(count)
            stage = "Running the float model"
            self._found = detections_of(
                self._model, self.contract, chosen, total=len(chosen), progress=progress, stage=stage
            )
            self._asked = count
        if count not in self._truth:
            self._truth[count] = Agreement(self._found[:count])
        return self._truth[count]

    def doubt(self, count: int, progress: Progress = silent) -> float:
        """Points that the float model loses to itself on the mirrored photos: how sure it is of what it finds."""
        self.truth(count, progress)
        chosen = self.photos.first(count).mirror()
        stage = "Running the float model in a mirror"
        seen = detections_of(self._model, self.contract, chosen, total=len(chosen), progress=progress, stage=stage)
        return 100.0 - Agreement(seen)(self._found[:count])

    def loss(
        self,
        model: onnx.ModelProto,
        count: int,
        progress: Progress = silent,
        stage: str = "Comparing",
        *,
        sure_up_to: float = -1.0,
    ) -> Loss:
        """What `model` loses on the first `count` photos; with its error where that is up to `sure_up_to` points."""
        truth = self.truth(count, progress)
        chosen = self.photos.first(count)
        found = detections_of(model, self.contract, chosen, total=len(chosen), progress=progress, stage=stage)
        points = 100.0 - truth(found)
        return Loss(points, truth.change(found), truth.error(found) if points <= sure_up_to else None)


class Losses:
    """Losses by what is quantised, each measured once.

    They are known by how many photos were asked for: how many can be read comes out only as they are.

    Attributes:
        measured: how many candidates were run, rather than remembered.
    """

    def __init__(self, reference: Reference, quantizer: Quantizer, journal: Path) -> None:
        """Remember in `journal`, a line a candidate; what it holds of an earlier run counts."""
        self.reference, self._quantizer, self._journal = reference, quantizer, journal
        self.measured = 0
        self._known: dict[str, Loss] = {}
        journal.parent.mkdir(parents=True, exist_ok=True)
        if journal.is_file():
            for line in journal.read_text().splitlines():
                try:
                    name, points, change, *error = json.loads(line)
                except ValueError:  # the line that an interrupt cut off
                    continue
                self._known[str(name)] = Loss(float(points), float(change), *error)

    def of(self, keys: Collection[str], photos: int, *, sure_up_to: float = -1.0) -> Loss:
        """What quantising the products `keys` loses on the first `photos` photos; see `Reference.loss`."""
        name = f"{photos}:{hashlib.sha256('|'.join(sorted(keys)).encode()).hexdigest()}"
        known = self._known.get(name)
        if known is None or (known.error is None and known.points <= sure_up_to):
            known = self._known[name] = self.reference.loss(self._quantizer.model(keys), photos, sure_up_to=sure_up_to)
            self.measured += 1
            with naming(self._journal), self._journal.open("a") as file:
                file.write(json.dumps([name, known.points, known.change, known.error]) + "\n")
        return known
