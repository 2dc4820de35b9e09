"""What an engine that cannot run here is told: what it needs, what is here, the command that rebuilds it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detrt.engine.admission import refuse_foreign_gpu
from detrt.engine.flavour import find
from detrt.engine.manifest import manifest_of, manifest_path
from detrt.errors import EngineError
from detrt.runtime import open_runtime
from tests.runtime.standin import StandInGpu

REBUILD = "detrt build tiny.onnx -o "


@pytest.fixture
def engine(tiny_engine: Path, tmp_path: Path) -> Path:
    """A copy of a real engine and its manifest, to spoil."""
    for file in (tiny_engine, manifest_path(tiny_engine)):
        shutil.copy(file, tmp_path)
    return tmp_path / tiny_engine.name


def edited(engine: Path, **changes: Any) -> None:
    path = manifest_path(engine)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(engine: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        open_runtime(engine)
    return caught.value


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda engine: engine.write_bytes(engine.read_bytes()[:1000]), "has 1,000 bytes, but its manifest says"),
        (lambda engine: engine.write_bytes(b""), "has 0 bytes"),
        (lambda engine: engine.write_bytes(os.urandom(engine.stat().st_size)), "SHA-256 differ"),
    ],
    ids=["cut off", "empty", "foreign"],
)
def test_bytes_that_are_not_the_engine_never_reach_tensorrt(
    spoil: Callable[[Path], object], said: str, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detrt.runtime.tensorrt.LoadedEngine", None)
    spoil(engine)
    error = refusal(engine)
    assert said in error.problem
    assert REBUILD in error.remedy


def test_a_missing_manifest_is_named(engine: Path) -> None:
    manifest_path(engine).unlink()
    error = refusal(engine)
    assert "tiny.engine.json is not beside it" in error.problem
    assert "detrt build MODEL.onnx -o tiny.engine" in error.remedy


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"format": 1}', '{"format": 1, "flavour": "onnx"}', "\udcff"], ids=repr
)
def test_a_damaged_manifest_is_named(text: str, engine: Path) -> None:
    manifest_path(engine).write_bytes(text.encode(errors="surrogateescape"))
    error = refusal(engine)
    assert "tiny.engine.json" in error.problem
    assert "detrt build" in error.remedy


def test_a_manifest_of_a_later_detrt_asks_for_an_update(engine: Path) -> None:
    edited(engine, format=2)
    error = refusal(engine)
    assert "has format 2; this detrt reads format 1" in error.problem
    assert "pip install -U detrt" in error.remedy


def test_another_version_of_tensorrt_is_named_with_the_one_that_is_here(engine: Path) -> None:
    edited(engine, version="1.3.0.35")
    error = refusal(engine)
    assert "needs TensorRT-RTX 1.3.0.35" in error.problem
    assert f"here is {find('tensorrt_rtx').version}" in error.problem
    assert f"{REBUILD}{engine} --precision fp32" in error.remedy


def test_a_version_compatible_engine_runs_on_later_versions_of_its_major(engine: Path) -> None:
    edited(engine, version="1.0.0", version_compatible=True)
    assert "needs TensorRT-RTX 1.0.0" in refusal(engine).problem  # refused for want of a GPU only
    assert "NVIDIA GPU" in refusal(engine).problem
    edited(engine, version="1.99.0", version_compatible=True)
    assert f"here is {find('tensorrt_rtx').version}" in refusal(engine).problem
    edited(engine, version="0.9.0", version_compatible=True)
    assert f"here is {find('tensorrt_rtx').version}" in refusal(engine).problem


def test_an_engine_of_a_tensorrt_that_is_not_installed_names_the_extra(
    engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr("detrt.engine.admission.load", absent)
    edited(engine, flavour="tensorrt", version="10.14.1.48", compute_capabilities=["8.9"])
    error = refusal(engine)
    assert "needs TensorRT 10.14.1.48 on linux-x86_64, compute capability 8.9, but tensorrt cannot" in error.problem
    assert "pip install 'detrt[trt]' tensorrt==10.14.1.48" in error.remedy
    assert REBUILD in error.remedy


def test_another_platform_is_named(engine: Path) -> None:
    edited(engine, platform="windows-amd64")
    assert "on windows-amd64" in refusal(engine).problem
    assert "this is " in refusal(engine).problem


def test_want_of_a_gpu_is_named(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detrt.runtime.cuda._count", lambda: (0, "no driver"))
    error = refusal(engine)
    assert "needs TensorRT-RTX" in error.problem
    assert "No NVIDIA GPU number 0 here; there is none: no driver" in error.problem


@pytest.mark.parametrize(
    ("flavour", "built_for", "hardware", "here", "runs"),
    [
        ("tensorrt_rtx", (), "none", "9.0", True),
        ("tensorrt_rtx", (), "none", "7.5", False),
        ("tensorrt_rtx", ("7.5",), "none", "7.5", True),
        ("tensorrt_rtx", ("8.9", "12.0"), "none", "9.0", True),
        ("tensorrt_rtx", ("12.0",), "none", "9.0", False),
        ("tensorrt", ("8.9",), "none", "8.9", True),
        ("tensorrt", ("8.9",), "none", "9.0", False),
        ("tensorrt", ("8.9",), "same-capability", "8.6", False),
        ("tensorrt", ("8.9",), "ampere+", "8.6", True),
        ("tensorrt", ("8.9",), "ampere+", "7.5", False),
    ],
)
def test_the_gpu_must_be_one_that_the_engine_was_built_for(
    flavour: str, built_for: tuple[str, ...], hardware: str, here: str, runs: bool, engine: Path
) -> None:
    edited(engine, flavour=flavour, compute_capabilities=built_for, hardware=hardware)
    manifest, gpu = manifest_of(engine), StandInGpu(capability=here)
    if runs:
        refuse_foreign_gpu(manifest, engine, gpu)
    else:
        with pytest.raises(EngineError, match=rf"the GPU here is Stand-in GPU with compute capability {here}") as error:
            refuse_foreign_gpu(manifest, engine, gpu)
        assert f"compute capability {manifest.capability}, but" in error.value.problem


def test_a_missing_or_changed_plugin_is_named(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detrt.runtime.tensorrt.fitting_gpu", lambda manifest, path, device: StandInGpu())
    edited(engine, plugins=[{"path": "lib/libsampling.so", "sha256": "0" * 64}])
    assert "needs the plugin library libsampling.so" in refusal(engine).problem
    (engine.parent / "libsampling.so").write_bytes(b"another library")
    error = refusal(engine)
    assert "is not the one that the engine was built with" in error.problem
    assert REBUILD in error.remedy


@pytest.mark.parametrize("content", [b"", b"not an engine", b"vtrt" + bytes(4096)], ids=["empty", "text", "magic only"])
def test_the_command_line_survives_any_file(content: bytes, engine: Path, tmp_path: Path) -> None:
    engine.write_bytes(content)
    command = [sys.executable, "-c", "from detrt.cli import main; main()", "predict", str(engine), str(tmp_path)]
    (tmp_path / "photo.jpg").write_bytes(b"")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    assert "detrt build" in done.stderr
    assert "Traceback" not in done.stderr
