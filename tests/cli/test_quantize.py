"""`detrt quantize` and `detrt sensitivity`: their words, their files, their exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from detrt.cli import exit_codes
from tests.quantize.toy import drawn_photos, toy_detector


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy model and photos, one of them damaged."""
    folder = tmp_path_factory.mktemp("work")
    onnx.save(toy_detector(), folder / "toy.onnx")
    (drawn_photos(folder / "photos", 6) / "bad.jpg").write_bytes(b"\xff\xd8\xff no more")
    (folder / "empty").mkdir()
    return folder


def _detrt(work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"DETRT_CACHE": str(work / "cache"), "PATH": "", "COLUMNS": "200"}
    command = [sys.executable, "-c", "from detrt.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)


def test_quantize_says_what_it_kept_and_skipped(work: Path) -> None:
    done = _detrt(work, "quantize", "toy.onnx", "--calib", "photos", "--precision", "fp8", "--target-drop", "0.5")
    assert done.returncode == exit_codes.OK, done.stderr
    assert "toy.fp8.onnx: FP8," in done.stdout
    assert "% of the MACs" in done.stdout
    assert "bad.jpg" in done.stderr
    assert (work / "toy.fp8.onnx").is_file()
    assert (work / "toy.fp8.json").is_file()


def test_sensitivity_prints_every_part(work: Path) -> None:
    done = _detrt(work, "sensitivity", "toy.onnx", "--calib", "photos", "--json", "parts.json")
    assert done.returncode == exit_codes.OK, done.stderr
    for part in ("stem", "CCFF", "sampling_offsets", "heads"):
        assert part in done.stdout
    assert (work / "parts.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("toy.onnx", "--calib", "empty"), exit_codes.IMAGE, "There is no image in empty"),
        (("toy.onnx", "--calib", "nowhere"), exit_codes.IMAGE, "nothing at nowhere"),
        (("toy.onnx",), exit_codes.USAGE, "--calib"),
        (("toy.onnx", "--calib", "photos", "--calibrate-in", "torch"), exit_codes.USAGE, "no checkpoint"),
        (("toy.onnx", "--calib", "photos", "--recipe", "saef"), exit_codes.USAGE, "did you mean safe"),
        (("toy.onnx", "--calib", "photos", "--annotations", "a.json"), exit_codes.USAGE, "go together"),
    ],
)
def test_errors_are_told_in_two_sentences(work: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = _detrt(work, "quantize", *arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
