"""What is measured is measured once: the float model's detections, and losses across commands."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from detrt.quantize import measure
from detrt.quantize.agreement import detections_of
from detrt.quantize.measure import Reference
from detrt.quantize.quantizer import Settings
from detrt.quantize.sensitivity import sensitivity_of
from detrt.quantize.workbench import Workbench, open_workbench
from tests.quantize.toy import drawn_photos


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


def test_a_bad_photo_does_not_make_measurements_of_another_command_forgotten(
    toy: Path, tmp_path: Path, runs: Counter[str]
) -> None:
    folder = drawn_photos(tmp_path / "some", 3)
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    first = sensitivity_of(open_workbench(toy, [str(folder)]), Settings("int8"))
    assert runs["Comparing"] == len(first)
    runs.clear()
    assert sensitivity_of(open_workbench(toy, [str(folder)]), Settings("int8")) == first
    assert not runs["Comparing"]


def test_doubt_is_remembered_whatever_photos_have_turned_out_to_be_bad(
    toy: Path, tmp_path: Path, runs: Counter[str]
) -> None:
    folder = drawn_photos(tmp_path / "some", 3)
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    bench = open_workbench(toy, [str(folder)])
    doubt = bench.doubt(8)
    assert bench.doubt(8) == doubt
    assert runs["Running the float model in a mirror"] == 1
