"""`detrt build`, as a person runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from detrt.cli import main
from detrt.graph.onnx_file import save
from tests.engine.conftest import tiny_model
from tests.graph.test_chunk_top_k import top_k


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    pytest.importorskip("tensorrt_rtx")
    path = tmp_path / "tiny.onnx"
    save(tiny_model(), path)
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["detrt", "build", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_it_builds_beside_the_model_and_then_says_that_it_is_up_to_date(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, str(tiny), "--precision", "fp32", "--batch", "1:2:4") == 0
    first = capsys.readouterr()
    assert re.search(r"tiny\.engine: [\d.]+ MB in [\d.]+ s; needs TensorRT-RTX .* batch 1:2:4", first.out)
    assert {file.name for file in tiny.parent.iterdir()} == {"tiny.onnx", "tiny.engine", "tiny.engine.json"}
    assert run(monkeypatch, str(tiny), "--precision", "fp32", "--batch", "1:2:4") == 0
    assert capsys.readouterr().out.strip().endswith("tiny.engine is up to date.")


def test_it_says_what_it_rewrote_unless_the_graph_shall_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorrt_rtx")
    model = tmp_path / "scores.onnx"
    save(top_k((1, 8400), 300), model)
    assert run(monkeypatch, str(model), "--precision", "fp32") == 0
    assert "long top-k in chunks" in " ".join(capsys.readouterr().err.split())
    assert run(monkeypatch, str(model), "--precision", "fp32", "--as-exported") == 0
    said = capsys.readouterr()
    assert "up to date" not in said.out
    assert "top-k" not in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--precision", "int8"), 2, "'int8' is no precision"),
        (("--batch", "4:1"), 2, "is none"),
        (("--hardware", "ampere+"), 2, "does not support --hardware"),
        (("--target", "3.5"), 5, "does not know SM35"),
        (("--flavour", "tensorrt_lean"), 2, "is no TensorRT"),
    ],
)
def test_what_it_cannot_do_ends_with_one_message_and_its_code(
    arguments: tuple[str, ...],
    code: int,
    said: str,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, str(tiny), *arguments) == code
    assert said in capsys.readouterr().err
    assert not list(tiny.parent.glob("*.engine*"))
