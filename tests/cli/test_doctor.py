"""`detrt doctor` for people and for programs."""

from __future__ import annotations

import json

import onnxruntime
import pytest
from typer.testing import CliRunner

from detrt.cli.app import app
from detrt.runtime import available
from detrt.runtime.available import Machine, Package
from detrt.runtime.gpus import Gpu

HOPPER = Machine(
    gpus=(Gpu("NVIDIA H100 80GB HBM3", (9, 0), "580.95.05", 81559),),
    no_gpu="",
    packages=(
        Package("TensorRT-RTX", "runtime", "runs .engine", "pip install 'detrt[rtx]'", "1.7.1.116", "builder works"),
        Package("PyAV", "extra", "reads videos", "pip install 'detrt[video]'", None, "No module named 'av'"),
    ),
    warnings=("[it] refuses to load engines there.",),
)


def test_people_see_what_is_here_and_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available, "machine", lambda **_: HOPPER)
    shown = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "160"})
    assert shown.exit_code == 0
    assert "NVIDIA H100 80GB HBM3, compute capability 9.0, 81,559 MiB, driver 580.95.05" in shown.output
    lines = {tuple(line.split()[:2]): line for line in shown.output.splitlines() if line.strip()}
    assert "1.7.1.116" in lines["yes", "TensorRT-RTX"]
    assert ("no", "PyAV") in lines
    assert "No module named 'av'. Install: pip install 'detrt[video]'" in shown.output
    assert "[it] refuses" in shown.output


def test_json_is_whole_on_a_real_machine() -> None:
    report = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    [runtime] = [package for package in report["packages"] if package["name"] == "ONNX Runtime"]
    assert runtime["usable"]
    assert runtime["version"] == onnxruntime.__version__
    assert report["gpus"] or report["no_gpu"]
