"""End-to-end rows: the same engine of the benchmark, on files instead of tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detrt.benchmark.photos import files_from, photos_from
from detrt.benchmark.subjects import cases_of, open_case
from detrt.benchmark.timeline import plot_timeline
from detrt.detector import Detector
from detrt.errors import ImageError
from detrt.graph.onnx_file import save
from detrt.images.read import decode_photo
from detrt.stages import StageTimes
from tests import tiny


@pytest.fixture
def model(tmp_path: Path) -> str:
    save(tiny.deploy_model(), tmp_path / "tiny.onnx")
    return str(tmp_path / "tiny.onnx")


@pytest.mark.parametrize("protocol", ["e2e", "stream"])
@pytest.mark.parametrize("batch", [1, 3])
def test_every_run_is_timed(model: str, protocol: str, batch: int) -> None:
    (case,) = cases_of([model], protocols=[protocol], batch_sizes=[batch])
    with open_case(case, [], files_from(None)) as timeable:
        for runs in (1, 5):
            result = timeable.time(runs)
            assert len(result.runs) == runs
            assert min(result.runs) > 0
            assert result.wall >= 0.99 * sum(result.runs)
    assert (timeable.subject.protocol, timeable.subject.batch) == (protocol, batch)


def test_all_files_are_taken_in_turn(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    decode = Detector.decode

    def spy(self: Detector, outputs: dict[str, np.ndarray], placements: object) -> object:
        seen.extend(outputs["scores"][:, 0].tolist())
        return decode(self, outputs, placements)  # type: ignore[arg-type]

    monkeypatch.setattr(Detector, "decode", spy)
    (case,) = cases_of([model], protocols=["e2e"], batch_sizes=[2])
    files = files_from(None)
    with open_case(case, [], files) as timeable:
        timeable.time(len(files))
    assert len(set(seen[: len(files)])) == len(files)
    assert seen[: len(files)] == seen[len(files) :]


@pytest.mark.parametrize("protocol", ["e2e", "stream"])
def test_a_damaged_file_is_an_error_and_no_figure(model: str, protocol: str) -> None:
    (case,) = cases_of([model], protocols=[protocol])
    with open_case(case, [], [b"no photo"]) as timeable, pytest.raises(ImageError):
        timeable.time(1)


def test_made_files_are_the_made_photos() -> None:
    for photo, file in zip(photos_from(None), files_from(None), strict=True):
        assert np.abs(decode_photo(file).astype(int) - photo).mean() < 5


def test_a_timeline_shows_every_stage(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    times = StageTimes(keep_spans=True)
    for stage in ("decode", "gpu"):
        with times.stage(stage):
            pass
    assert [span.stage for span in times.spans or []] == ["decode", "gpu"]
    plot_timeline(times.spans or [], tmp_path / "line.svg")
    drawn = (tmp_path / "line.svg").read_text()
    assert "<svg" in drawn
