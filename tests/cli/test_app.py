"""The command line as a whole, run as a person runs it: in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.main import get_command

from detrt import errors
from detrt.cli import app as app_module
from detrt.cli import exit_codes, main
from detrt.cli.app import app
from detrt.graph.onnx_file import save
from tests import tiny

DOCS = Path(__file__).parents[2] / "docs"


def detrt(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `detrt` with a wide, colourless terminal."""
    return subprocess.run(
        [sys.executable, "-c", "from detrt.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"} | environment,
    )


def run_main(monkeypatch: pytest.MonkeyPatch, error: BaseException, *arguments: str) -> int:
    """The exit code of `detrt ARGUMENTS` where the command raises `error`."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(app_module, "app", fail)
    monkeypatch.setattr(sys, "argv", ["detrt", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


def commands() -> Iterator[tuple[str, ...]]:
    """Every command and subcommand by its words."""

    def below(words: tuple[str, ...], command: object) -> Iterator[tuple[str, ...]]:
        yield words
        for name, child in getattr(command, "commands", {}).items():
            yield from below((*words, name), child)

    yield from below((), get_command(app))


def test_a_name_that_the_terminal_cannot_show_ends_nothing(tmp_path: Path) -> None:
    save(tiny.deploy_model(), tmp_path / "model.onnx")
    Image.new("RGB", (40, 30)).save(tmp_path / "\u00fc.jpg")
    done = detrt("predict", str(tmp_path / "model.onnx"), str(tmp_path / "\u00fc.jpg"), PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "\\xfc.jpg: " in done.stdout


def test_an_error_is_two_sentences_and_no_traceback() -> None:
    done = detrt("inspect", "no-such-model.onnx")
    assert done.returncode == exit_codes.MODEL
    assert not done.stdout
    assert re.fullmatch(r"Error: There is no model 'no-such-model\.onnx'.*\nDo: .+\n", done.stderr)


@pytest.mark.parametrize("arguments", [("--debug", "inspect", "none.onnx"), ("inspect", "none.onnx", "--debug")])
def test_debug_adds_the_traceback_wherever_it_stands(arguments: tuple[str, ...]) -> None:
    done = detrt(*arguments)
    assert done.returncode == exit_codes.MODEL
    assert "Traceback" in done.stderr
    assert "Error: There is no model" in done.stderr


def test_a_fault_of_detrt_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, ZeroDivisionError("[oops]")) == exit_codes.FAILED
    said = capfd.readouterr().err
    assert "ZeroDivisionError: [oops]" in said
    assert "Traceback" not in said


def test_a_place_that_cannot_be_written_is_no_fault_of_detrt(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, PermissionError(13, "Permission denied", "/out")) == exit_codes.USAGE
    assert "/out cannot be read or written: Permission denied." in capfd.readouterr().err
    assert run_main(monkeypatch, FileNotFoundError(2, "No such file", "/lost")) == exit_codes.FAILED


@pytest.mark.parametrize("place", ["home/.cache", "home/.cache/detrt", "home/.cache/detrt/eval/x.jsonl"])
def test_a_cache_that_cannot_be_written_can_be_moved(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, place: str
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("DETRT_CACHE", str(tmp_path / "home" / ".cache" / "detrt"))
    run_main(monkeypatch, PermissionError(13, "Permission denied", str(tmp_path / place)))
    assert "DETRT_CACHE" in capfd.readouterr().err
    run_main(monkeypatch, IsADirectoryError(21, "Is a directory", str(tmp_path / "home")))
    assert "Give another path" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("a", "b"), exit_codes.USAGE),
        (errors.ImageError("a", "b"), exit_codes.IMAGE),
        (errors.EngineError("a", "b"), exit_codes.MODEL),
        (errors.NonFiniteError("a", "b"), exit_codes.MODEL),
        (errors.DatasetError("a", "b"), exit_codes.DATASET),
        (errors.DownloadError("a", "b"), exit_codes.DOWNLOAD),
        (errors.MissingExtraError("a", "b"), exit_codes.MISSING_EXTRA),
        (errors.DetrtError("a", "b"), exit_codes.FAILED),
        (KeyboardInterrupt(), exit_codes.INTERRUPTED),
    ],
)
def test_each_error_has_its_exit_code(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    assert run_main(monkeypatch, error) == code


def test_ctrl_c_inside_a_command_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = typer.Typer()

    @stopped.command()
    def work() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app_module, "app", stopped)
    monkeypatch.setattr(sys, "argv", ["detrt"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == exit_codes.INTERRUPTED


def test_every_kind_of_error_is_mapped() -> None:
    """A new child of DetrtError must say what it ends with, not fall through to `FAILED`."""
    for kind in errors.DetrtError.__subclasses__():
        assert exit_codes.of(kind("a", "b")) != exit_codes.FAILED, kind


def test_the_documentation_lists_the_exit_codes_that_there_are() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| \S", (DOCS / "exit-codes.md").read_text(), re.MULTILINE)
    there = {name: value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert {name: int(code) for code, name in rows} == there


@pytest.mark.parametrize("words", list(commands()), ids=lambda words: " ".join(words) or "detrt")
def test_every_command_has_help_with_an_example(words: tuple[str, ...]) -> None:
    from typer.testing import CliRunner

    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    assert "Usage:" in shown.output
    if words:
        examples = shown.output.partition("Example")[2]
        assert " ".join(("detrt", *words)) in examples


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(("inspct", "model.onnx"), "inspect"), (("models", "pul", "x"), "pull"), (("doctor", "--jsn"), "--json")],
)
def test_a_mistyped_word_is_answered_with_the_right_one(arguments: tuple[str, ...], meant: str) -> None:
    done = detrt(*arguments)
    assert done.returncode == exit_codes.USAGE
    assert meant in done.stderr


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("detrt ins", "inspect"), ("detrt models pu", "pull"), ("detrt models pull deimv2-f", "deimv2-femto")],
)
def test_the_shell_completes_commands_and_names(typed: str, offered: str) -> None:
    words = typed.split()
    done = detrt(_DETRT_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=str(len(words) - 1))
    assert done.stdout.split() == [offered]


def test_help_and_completion_load_no_runtime() -> None:
    """`detrt --help` must be quick: the heavy packages are imported by the commands that need them."""
    code = "import sys; import detrt.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    heavy = {"torch", "onnx", "onnxruntime", "tensorrt_rtx", "requests", "supervision"}
    assert not heavy & set(done.stdout.split())


def test_the_version_is_printed() -> None:
    from detrt import __version__

    assert detrt("--version").stdout == f"detrt {__version__}\n"
