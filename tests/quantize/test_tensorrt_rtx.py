"""TensorRT-RTX builds what we quantise: FP8 in 1.6 and 1.7, INT8 convolutions in 1.7, which knows them first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from detrt.graph.precision import with_precision
from detrt.quantize.formats import Precision
from detrt.quantize.recipe import load_recipe
from detrt.quantize.workbench import Workbench, open_workbench

SCRIPT = Path(__file__).with_name("rtx_build.py")
VERSIONS = {"1.6": "1.6.1.120", "1.7": "1.7.1.116"}
KEPT = Path.home() / ".cache" / "detrt-tests"


@pytest.fixture(scope="session")
def folder_of(request: pytest.FixtureRequest) -> dict[str, Path]:
    """Each version in a folder of its own, downloaded once (100 to 200 MB) and kept for later runs."""
    return {version: _installed(exact) for version, exact in VERSIONS.items()}


@pytest.fixture(scope="session")
def small_bench(femto: Path, shared: Path) -> Workbench:
    """A real detector, calibrated on a few photos: here only its graph counts."""
    return open_workbench(femto, [str(shared / "coco" / "calib")], limit=4)


@pytest.mark.parametrize("rest", ["fp32", "fp16"])
@pytest.mark.parametrize(("precision", "version"), [("fp8", "1.6"), ("fp8", "1.7"), ("int8", "1.7")])
def test_it_builds(
    bench: Workbench, folder_of: dict[str, Path], tmp_path: Path, precision: Precision, version: str, rest: str
) -> None:
    _build(bench, folder_of[version], tmp_path, precision, version, rest)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "version"), [("fp8", "1.6"), ("fp8", "1.7"), ("int8", "1.7")])
def test_a_real_detector_builds_with_everything_quantised(
    small_bench: Workbench, folder_of: dict[str, Path], tmp_path: Path, precision: Precision, version: str
) -> None:
    _build(small_bench, folder_of[version], tmp_path, precision, version, "fp16")


def _build(bench: Workbench, folder: Path, work: Path, precision: Precision, version: str, rest: str) -> None:
    quantizer = bench.quantizer(load_recipe("safe").settings(precision))
    model = quantizer.model({product.key for product in bench.products})
    if rest == "fp16":
        model = with_precision(model, "fp16").model
    onnx.save(model, work / "model.onnx")
    command = [sys.executable, str(SCRIPT), str(work / "model.onnx"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told, size = done.stdout.split()[-2:]
    assert told.startswith(version)
    assert int(size) > 1000


def _installed(version: str) -> Path:
    folder = KEPT / f"tensorrt-rtx-{version}-py{sys.version_info.major}{sys.version_info.minor}"
    done = folder / "installed"
    if not done.is_file():
        wheels = [f"tensorrt-rtx-cu13-{part}=={version}" for part in ("libs", "bindings")]
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(folder)]
        got = subprocess.run([*command, *wheels], capture_output=True, text=True, check=False)
        if got.returncode:
            pytest.skip(f"TensorRT-RTX {version} cannot be downloaded here: {got.stderr.strip()[-200:]}")
        done.touch()
    return folder
