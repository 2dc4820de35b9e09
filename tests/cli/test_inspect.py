"""`detrt inspect` on models that can be served and on what cannot."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from detrt.cli.app import app
from detrt.contract import ModelContract
from detrt.engine.manifest import EngineManifest
from detrt.errors import ModelError
from detrt.graph.onnx_file import save
from detrt.signature import TensorSpec
from tests.graph.test_macs import model, node, weight


def detrt(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["inspect", *arguments], env={"COLUMNS": "160"})


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """An ONNX that is no detector."""
    save(model([node("MatMul", "x w")], {"x": ["N", 16]}, {"w": weight(16, 8)}), tmp_path / "foreign.onnx")
    return tmp_path / "foreign.onnx"


def test_a_detector_shows_its_numbers_and_marks_what_is_assumed(femto: Path) -> None:
    shown = detrt(str(femto))
    assert shown.exit_code == 0
    facts = {line.split()[0]: line for line in shown.output.splitlines() if line.strip()}
    assert "1.67 GFLOPs" in facts["MACs"]
    assert "ai.onnx 17" in facts["opset"]
    assert facts["resize"].rstrip().endswith("?")
    assert not facts["input_size"].rstrip().endswith("?")


def test_a_name_of_the_registry_is_looked_into(femto: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETRT_MODELS", str(femto.parent))
    assert str(femto) in detrt("deimv2-femto").output


def test_json_has_the_same_for_a_program(femto: Path) -> None:
    report = json.loads(detrt(str(femto), "--json").output)
    assert report["bytes"] == femto.stat().st_size
    assert report["macs"]["total"] == sum(report["macs"]["by_op"].values()) > 0
    assert report["serving"]["contract"]["input_size"] == [416, 416]


def test_json_of_a_file_whose_name_is_no_utf8(foreign: Path, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"m\xff.onnx")
    foreign.rename(path)
    assert json.loads(detrt(str(path), "--json").stdout)["file"].endswith("/m\ufffd.onnx")


def test_what_cannot_be_served_is_still_looked_into(foreign: Path) -> None:
    shown = detrt(str(foreign))
    assert shown.exit_code == 0
    assert "128" in shown.output
    assert "Not servable" in shown.output
    assert "x float32 (N, 16)" in shown.output


def test_half_a_file_is_an_error(femto: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.onnx"
    half.write_bytes(femto.read_bytes()[: femto.stat().st_size // 2])
    assert isinstance(detrt(str(half)).exception, ModelError)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("w.pth", "w.pth -o w.onnx"), ("a b.ckpt", "b.ckpt' -o 'a b.onnx'"), ("notes.txt", "Give an ONNX file")],
)
def test_other_files_say_what_to_do_instead(name: str, remedy: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"anything")
    error = detrt(str(tmp_path / name)).exception
    assert isinstance(error, ModelError)
    assert remedy in error.remedy


def test_an_engine_is_known_by_its_manifest(tmp_path: Path) -> None:
    engine = tmp_path / "model.engine"
    engine.write_bytes(b"not loaded")
    contract = ModelContract(input_size=(640, 640), output_form="raw", sizes_name=None, family="RT-DETRv2")
    EngineManifest(
        flavour="tensorrt_rtx",
        version="1.6.1.120",
        platform="linux-x86_64",
        compute_capabilities=(),
        hardware="none",
        version_compatible=False,
        gpu="",
        precision="fp16",
        precision_note="",
        batch=(1, 4, 8),
        profile={},
        inputs=(TensorSpec("images", (None, 3, 640, 640), "float32"),),
        outputs=(TensorSpec("logits", (None, 300, 80), "float32"), TensorSpec("boxes", (None, 300, 4), "float32")),
        metadata=contract.to_metadata(),
        plugins=(),
        onnx="model.onnx",
        onnx_sha256="ab" * 32,
        arguments=("--precision", "fp16"),
        fingerprint="",
        layers={"network": 500},
        detrt="0.1.0",
        engine_sha256="",
        engine_bytes=10,
    ).save(engine)
    shown = detrt(str(engine)).output
    assert "1.6.1.120 on linux-x86_64" in shown
    assert "1 to 8, best at 4" in shown
    assert "read from the file" in shown
    assert "RT-DETRv2" in shown


def test_an_engine_without_a_manifest_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.engine").write_bytes(b"")
    error = detrt(str(tmp_path / "model.engine")).exception
    assert isinstance(error, ModelError)
    assert "manifest" in error.problem
