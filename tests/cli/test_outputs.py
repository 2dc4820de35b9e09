"""What every command refuses to write, before its work."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from detrt.cli import exit_codes
from detrt.graph.onnx_file import save
from tests import tiny
from tests.cli.conftest import Command
from tests.evaluate.conftest import CocoFolder
from tests.profile.conftest import small as small


@pytest.fixture(autouse=True)
def work(coco: CocoFolder, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that commands read: m.onnx, photos/*.png, instances.json, and an engine's profile in small/."""
    monkeypatch.setenv("DETRT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    save(tiny.deploy_model(), tmp_path / "m.onnx")
    (tmp_path / "link.json").symlink_to(coco.annotations)
    return tmp_path


@pytest.mark.parametrize("name", ["bad", "bad.engine", "bad.ONNX", "."])
@pytest.mark.parametrize(
    "command",
    [
        "mark m.onnx --outputs mean",
        "graph fuse-offsets m.onnx",
        "repair m.onnx --images photos",
        "export shapes",
    ],
)
def test_a_model_is_called_what_commands_open(detrt: Command, work: Path, command: str, name: str) -> None:
    done = detrt(*command.split(), "-o", name)
    assert done.code == exit_codes.USAGE, done.err
    assert f"{name} does not end in .onnx" in done.err
    assert not (work / name).is_file()


@pytest.mark.parametrize("option", ["--batch ²", "--size ²", "--size 64x²"])
def test_an_export_of_no_number_is_refused(detrt: Command, option: str) -> None:
    assert detrt("export", "shapes", "-o", "s.onnx", *option.split()).code == exit_codes.USAGE


@pytest.mark.parametrize("command", ["bench m.onnx", "sensitivity m.onnx --calib photos"])
def test_what_cannot_be_drawn_is_refused_before_the_work(
    detrt: Command, work: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = detrt(*command.split(), "--plot", "x.txt", "--json", "x.json")
    assert done.code == exit_codes.USAGE, done.err
    assert "x.txt does not end in .png or .svg or .pdf" in done.err
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert detrt(*command.split(), "--plot", "x.png").code == exit_codes.MISSING_EXTRA
    assert not list(work.glob("x.*"))


@pytest.mark.parametrize(
    "command",
    [
        "predict m.onnx photos --json m.onnx",
        "predict m.onnx photos --json photos/003.png",
        "eval m.onnx --annotations instances.json --images photos --json instances.json",
        "eval m.onnx --annotations instances.json --images photos --json link.json",
        "eval m.onnx --annotations instances.json --images photos --json photos/001.png",
        "bench m.onnx --json m.onnx",
        "bench m.onnx --photos photos --json photos/001.png",
        "compare m.onnx m.onnx --images photos --json m.onnx",
        "compare m.onnx m.onnx --images photos --json photos/001.png",
        "sensitivity m.onnx --calib photos --json photos/001.png",
        "profile small --html small/runs.json",
        "mark m.onnx --outputs mean -o m.onnx",
        "graph fuse-offsets m.onnx -o m.onnx",
        "repair m.onnx --images photos -o m.onnx",
    ],
)
def test_what_is_read_is_not_written_over(detrt: Command, work: Path, command: str) -> None:
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    done = detrt(*command.split())
    assert done.code == exit_codes.USAGE, done.err
    assert "is read, and would be lost" in done.err
    assert {path: path.read_bytes() for path in work.rglob("*") if path.is_file()} == before
