"""Every command of README.md, docs/ and `--help`: it parses, and it runs where a CPU without a network can run it."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from detrt.cli import main
from detrt.cli.app import app
from tests.docs.pages import ROOT, SHELLS, Command, blocks, commands, pages
from tests.docs.stage import quantised_layer

DETRT = tuple(command for command in commands() if command.words[0] == "detrt")
OTHERS = tuple(command for command in commands() if command.words[0] != "detrt")

PARSED_ONLY = {
    "needs a GPU": ("detrt * *.engine*", "detrt repair *"),
    "builds an engine, which tests/engine and tests/cli/test_build.py do": ("detrt build *",),
    "reads or exports a whole RT-DETRv2, as tests/models do": ("detrt export *", "detrt *.pth *", "detrt * random:*"),
    "asks every runtime, which takes seconds, as tests/cli/test_doctor.py does": ("detrt doctor*",),
    "compiles against TensorRT's headers, as tests/plugins do": ("detrt plugins build*",),
    "goes to the network": ("detrt models pull *",),
    "searches for minutes, as tests/quantize and tests/workflow do": ("detrt * --target-drop *", "detrt workflow *"),
    "reads what a GPU machine wrote, as tests/profile do": ("detrt profile trtexec_output/ *",),
}
"""Commands that are held against the options that there are, but not run here, by the reason why."""

OTHER_PROGRAMS = (".", "apt-get", "cd", "cmake", "ctest", "detrt-run", "git", "jq", "printf", "uv")
"""Programs that are neither ours nor checked further; tests/cpp asks detrt-run for its options."""

RUN_ALL_THE_SAME = ("detrt build model.onnx -o model.engine", "detrt workflow model.onnx * --dry-run*")
"""What would fit a reason, but is run: TensorRT-RTX builds without a GPU, in two seconds where the model is a toy."""

NAMES = {"deimv2-femto": "model.onnx", "shapes": "model.onnx"}
"""Names of published models, and the stand-in that is here for each."""

SHORTER = {"bench": ("--seconds", "0.01")}
"""What is added so that a command takes less time."""


def parsed_only(command: Command) -> str | None:
    """Why a command is not run, or None where it is."""
    text = " ".join(command.words)
    if any(fnmatch(text, shape) for shape in RUN_ALL_THE_SAME):
        return None
    return next((why for why, shapes in PARSED_ONLY.items() if any(fnmatch(text, shape) for shape in shapes)), None)


@pytest.mark.parametrize("command", DETRT, ids=str)
def test_it_is_a_command_that_there_is(command: Command) -> None:
    found: Any = get_command(app)
    arguments = list(command.words[1:])
    while hasattr(found, "commands") and arguments and arguments[0] in found.commands:
        found = found.commands[arguments.pop(0)]
    try:
        found.make_context("detrt", arguments, resilient_parsing=False)
    except Exception as error:
        said = error.format_message() if hasattr(error, "format_message") else str(error)
        pytest.fail(f"{command}\n{said}", pytrace=False)
    except SystemExit:
        assert "--help" in arguments or "--version" in arguments


def here_called(command: Command) -> list[str]:
    """The words of a command, published models by the names of their stand-ins."""
    return [NAMES.get(word, word) for word in command.words]


def runnable() -> list[Command]:
    """Each command line that is run here, once however often it is shown."""
    seen = {tuple(here_called(command)): command for command in reversed(DETRT) if not parsed_only(command)}
    return list(seen.values())[::-1]


@pytest.mark.parametrize("command", runnable(), ids=str)
def test_it_runs(
    command: Command, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if command.words[1:3] == ("graph", "fuse-offsets"):
        quantised_layer(here / command.words[3])
    monkeypatch.setattr(
        sys, "argv", [*(NAMES.get(word, word) for word in command.words), *SHORTER.get(command.words[1], ())]
    )
    try:
        main()
        code: object = 0
    except SystemExit as stop:
        code = stop.code or 0
    shown = capsys.readouterr()
    if code:
        pytest.fail(f"{command}\nends with {code}:\n{shown.out}{shown.err}", pytrace=False)


def test_no_reason_is_left_over() -> None:
    """A reason that no command has any more must go, or it would hide the next one."""
    texts = [" ".join(command.words) for command in DETRT]
    for shapes in PARSED_ONLY.values():
        for shape in shapes:
            assert any(fnmatch(text, shape) for text in texts), f"nothing is like '{shape}': take it out of PARSED_ONLY"


@pytest.mark.parametrize("command", OTHERS, ids=str)
def test_other_programs_get_what_they_take(command: Command) -> None:
    program, *words = command.words
    program = program.rpartition("/")[2]
    if program == "make":
        assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), command
    elif program in ("pip", "pip3"):
        _has_extras(words)
    elif program in ("python", "python3") and (script := _script(words)):
        assert script.exists(), f"{command}: there is no {script.relative_to(ROOT)}"
        source = "".join(path.read_text() for path in ([script] if script.is_file() else script.rglob("*.py")))
        for word in words:
            assert not word.startswith("--") or f'"{word}"' in source, f"{command}: {script.name} has no {word}"
    else:
        known = (*OTHER_PROGRAMS, "python", "python3", "pre-commit")
        assert program in known, f"{command}: {program} is not among {known}"


def test_commands_stand_where_they_are_found() -> None:
    """In a fence that says `sh` or `console`; a block of another kind would go unnoticed."""
    ours = re.compile(r"^(\$ )?(detrt|make|pip install|python tools/)( |$)")
    for block in blocks():
        if block.language not in SHELLS:
            assert not any(map(ours.match, block.lines)), f"{block.page}:{block.line}: say ```sh"
    for page in pages():
        fenced = False
        for number, line in enumerate(page.read_text().splitlines(), 1):
            fenced ^= line.lstrip().startswith("```")
            indented = not fenced and line.startswith("    ") and ours.match(line.lstrip())
            assert not indented, f"{page.relative_to(ROOT)}:{number}: put the command into a fence that says ```sh"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_a_sentence_have_the_options_that_they_name(page: Path) -> None:
    root: Any = get_command(app)
    for span in re.findall(r"(?<!`)`(detrt [^`\n]*)`", page.read_text()):
        words, found = span.split()[1:], root
        while words and words[0] in getattr(found, "commands", {}):
            found = found.commands[words.pop(0)]
        if words and found is root and re.fullmatch(r"[a-z-]+", words[0]):
            assert words[0].startswith("-"), f"`{span}` is no command"
        options = {name for parameter in (*found.params, *root.params) for name in parameter.opts}
        for word in words:
            name = re.match(r"\[?(--[a-z][a-z-]*)", word)
            if name and name[1] != "--help":
                assert name[1] in options, f"`{span}`: there is no {name[1]}"


def _script(words: Sequence[str]) -> Path | None:
    """The file or folder of ours that `python WORDS` runs."""
    if words[0] == "-m":
        module = ROOT / words[1].replace(".", "/")
        return (module if module.is_dir() else module.with_suffix(".py")) if words[1].startswith("tools.") else None
    return ROOT / words[0]


def _has_extras(words: Sequence[str]) -> None:
    extras = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    for word in words:
        for names in re.findall(r"\[([\w,]+)\]", word):
            for name in names.split(","):
                assert f"\n{name} = [" in extras, f"pip install {word}: there is no extra {name}"
