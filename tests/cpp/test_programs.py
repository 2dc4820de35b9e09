"""The C++ tests pass, and detrt-run ends as `detrt` does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from detrt.cli import exit_codes
from detrt.engine.manifest import manifest_path
from detrt.errors import DetrtError
from detrt.images.sources import find_files
from detrt.runtime.tensorrt import TensorRTRuntime
from tests.cpp.papers import papers


def run(built: Path, *words: object) -> tuple[int, str]:
    done = subprocess.run([built / "detrt-run", *map(str, words)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def told(error: DetrtError) -> str:
    return f"Error: {error.problem}\nDo: {error.remedy}\n"


def test_every_part(built: Path) -> None:
    done = subprocess.run(
        ["ctest", "--test-dir", built, "--output-on-failure"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "No tests were found" not in done.stderr


def test_help_shows_every_option_that_the_documentation_names(built: Path) -> None:
    done = subprocess.run([built / "detrt-run", "--help"], capture_output=True, text=True, check=True, timeout=60)
    page = (Path(__file__).parents[2] / "docs" / "cpp.md").read_text()
    shown = [line for line in page.splitlines() if line.startswith("detrt-run ")]
    assert len(shown) > 3
    for option in {word for line in shown for word in line.split() if word.startswith("--")}:
        assert re.search(rf"^  (-\w,)?{option}\b", done.stdout, re.MULTILINE), option


@pytest.mark.parametrize("words", [("--nonsense",), ("photo.jpg",), ("--engine", "m.engine")])
def test_what_makes_no_sense_is_a_usage_error(built: Path, words: tuple[str, ...]) -> None:
    code, said = run(built, *words)
    assert code == exit_codes.USAGE
    assert said.startswith("Error: ")
    assert "\nDo: " in said


def test_photos_that_are_not_there_end_in_the_same_code(built: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "none.jpg", tmp_path / "empty", tmp_path / "*.jpg"):
        code, said = run(built, "--engine", "m.engine", source)
        with pytest.raises(DetrtError) as error:
            find_files([str(source)])
        assert code == exit_codes.IMAGE
        assert said.startswith(f"Error: {error.value.problem}\n")


@pytest.mark.parametrize(
    "spoil",
    ["no manifest", "newer", "cut off", "changed", "no engine", "other platform"],
)
def test_an_engine_that_cannot_run_is_refused_in_the_same_words(built: Path, tmp_path: Path, spoil: str) -> None:
    engine, photo = tmp_path / "my model.engine", tmp_path / "a.jpg"
    photo.write_bytes(b"-")
    papers(platform="plan9-mips" if spoil == "other platform" else None).save(engine)
    engine.write_bytes(b"engine")
    match spoil:
        case "no manifest":
            manifest_path(engine).unlink()
        case "newer":
            manifest_path(engine).write_text('{"format": 2}')
        case "cut off":
            engine.write_bytes(b"eng")
        case "changed":
            engine.write_bytes(b"Engine")
        case "no engine":
            engine.unlink()
    code, said = run(built, "--engine", engine, photo)
    with pytest.raises(DetrtError) as error:
        TensorRTRuntime(engine)
    assert code == exit_codes.MODEL
    assert said == told(error.value)


def test_a_damaged_manifest_is_named(built: Path, tmp_path: Path) -> None:
    engine, photo = tmp_path / "m.engine", tmp_path / "a.jpg"
    photo.write_bytes(b"-")
    for text in ("", "[]", '{"format": 1}', '{"format": 1, "flavour": "openvino"}'):
        manifest_path(engine).write_text(text)
        code, said = run(built, "--engine", engine, photo)
        assert code == exit_codes.MODEL
        assert said.startswith(f"Error: The manifest {manifest_path(engine)} is damaged: ")
