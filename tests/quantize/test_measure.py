"""What is measured is measured once: the float model's detections."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from detrt.quantize import measure
from detrt.quantize.agreement import detections_of
from detrt.quantize.measure import Reference
from detrt.quantize.workbench import Workbench


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many times a model was run on photos, by stage."""
    counted: Counter[str] = Counter()

    def counting(*arguments: Any, stage: str, **options: Any) -> Any:
        counted[stage] += 1
        return detections_of(*arguments, stage=stage, **options)

    monkeypatch.setattr(measure, "detections_of", counting)
    return counted


@pytest.mark.parametrize(("counts", "times"), [((20, 20, 12, 30), 1), ((4, 4, 8, 2), 2), ((8, 12, 16, 20), 3)])
def test_the_float_model_is_run_anew_only_for_more_photos(
    bench: Workbench, runs: Counter[str], counts: tuple[int, ...], times: int
) -> None:
    reference = Reference(bench.graph.model, bench.contract, bench.photos)
    for count in counts:
        reference.truth(count)
    assert runs == {"Running the float model": times}
    assert reference.loss(bench.graph.model, max(counts)).points == pytest.approx(0, abs=1e-6)
