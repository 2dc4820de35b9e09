"""What doctor finds out, and that nothing a package does can break it."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from detrt.runtime.available import PROBES, Package, Probe, examine, machine, warnings_for
from detrt.runtime.gpus import Gpu, gpus_from_csv, gpus_of_this_machine

H100 = Gpu("NVIDIA H100 80GB HBM3", (9, 0), "580.95.05", 81559)
ADA = Gpu("NVIDIA GeForce RTX 4090", (8, 9), "580.95.05", 24564)
BLACKWELL = Gpu("NVIDIA GeForce RTX 5070", (12, 0), "580.95.05", 12227)


def probe(code: str) -> Probe:
    return Probe("Anything", "extra", "does something", "pip install anything", code)


def package(name: str, version: str | None, detail: str = "") -> Package:
    return Package(name, "runtime", "", "", version, detail)


def test_a_package_that_works_gives_its_version() -> None:
    found = examine(probe("version, detail = '1.2.3', 'fine'"))
    assert (found.version, found.detail, found.usable) == ("1.2.3", "fine", True)


def test_what_a_package_prints_is_not_taken_for_the_answer() -> None:
    assert examine(probe("print('loading...', end=''); version, detail = '1', ''")).version == "1"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import there_is_no_such_package", "No module named 'there_is_no_such_package'"),
        ("raise ImportError('libnvinfer.so.10: cannot open shared object file')", "libnvinfer.so.10: cannot open"),
        ("import os; os.kill(os.getpid(), 11)", "crashes on import (signal 11)"),
        ("import os; os._exit(3)", ""),
        ("import time; time.sleep(60)", "no answer within 0.5 s"),
    ],
    ids=["missing", "broken", "crashing", "leaving", "hanging"],
)
def test_a_broken_package_is_a_finding(code: str, reason: str) -> None:
    found = examine(probe(code), seconds=0.5 if "sleep" in code else 20)
    assert not found.usable
    assert found.detail.startswith(reason)


def test_this_machine_runs_onnx() -> None:
    [found] = machine([PROBES[0]]).packages
    assert found.name == "ONNX Runtime"
    assert found.version == onnxruntime.__version__
    assert "CPU" in found.detail


def test_the_installed_packages_answer_their_probes() -> None:
    """A probe with a slip of its own would call a good package broken; those of the dev group are here for certain."""
    found = {package.name: package for package in machine().packages}
    for name in ("PyTorch", "TensorRT-RTX", "CUDA Python", "PyAV", "Matplotlib"):
        assert found[name].usable, found[name].detail


def test_nvidia_smi_is_understood() -> None:
    listed = "NVIDIA H100 80GB HBM3, 9.0, 580.95.05, 81559\nNVIDIA GeForce RTX 5070, 12.0, 580.95.05, 12227\n"
    assert gpus_from_csv(listed) == (H100, BLACKWELL)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'NVIDIA-SMI has failed because it could not talk to the driver'; exit 9", "NVIDIA-SMI has failed"),
        ("echo 'nonsense'", "nvidia-smi cannot be understood"),
        ("exec sleep 60", "nvidia-smi gave no answer"),
    ],
)
def test_a_failing_nvidia_smi_is_a_finding(
    script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "nvidia-smi"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    gpus, why = gpus_of_this_machine(seconds=1)
    assert gpus or why.startswith(reason)


def test_rtx_is_warned_about_where_it_is_not_official() -> None:
    [refuses] = warnings_for([H100], [package("TensorRT-RTX", "1.7.1.116")])
    assert "refuses" in refuses
    assert "9.0" in refuses
    [unofficial] = warnings_for([H100], [package("TensorRT-RTX", "1.6.1.120")])
    assert "may run" in unofficial
    assert not warnings_for([ADA, BLACKWELL], [package("TensorRT-RTX", "1.7.1.116")])
    assert not warnings_for([H100], [package("TensorRT-RTX", None, "not installed")])


def test_a_cpu_build_beside_a_gpu_is_pointed_out() -> None:
    [said] = warnings_for([ADA], [package("ONNX Runtime", "1.32.0", "CPU")])
    assert "onnxruntime-gpu" in said
    assert not warnings_for([ADA], [package("ONNX Runtime", "1.32.0", "CUDA, CPU")])
    assert not warnings_for([], [package("ONNX Runtime", "1.32.0", "CPU")])
