from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from detrt.benchmark.machine import Machine
from detrt.benchmark.plot import plot
from detrt.benchmark.report import BenchmarkReport
from detrt.benchmark.timings import Round, Subject, timings_from


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_picture_has_a_bar_for_each_row(tmp_path: Path, suffix: str) -> None:
    few, many = tmp_path / f"few{suffix}", tmp_path / f"many{suffix}"
    plot(_report(1), few)
    plot(_report(6), many)
    if suffix == ".png":
        with Image.open(few) as one, Image.open(many) as six:
            assert six.height > one.height
            assert len(six.convert("RGB").getcolors(1 << 24) or ()) > 10
    else:
        assert few.stat().st_size < many.stat().st_size


def _report(rows: int) -> BenchmarkReport:
    subjects = [Subject(f"row {i}", "TensorRT-RTX 1.6", "fp16", "cuda:0", "engine", graph=True) for i in range(rows)]
    return BenchmarkReport(
        rows=tuple(timings_from(subject, [Round((1.0 + i, 1.5 + i), 3.0)]) for i, subject in enumerate(subjects)),
        failures=(),
        machine=Machine({"cpu": "a processor"}, {}),
        photos="made",
        command=("detrt", "bench"),
        time="2026-11-22T12:00:00+00:00",
    )
