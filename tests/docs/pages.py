"""What README.md and the pages of docs/ tell a reader to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tools.cli_reference import examples
from typer.main import get_command

from detrt.cli.app import app

ROOT = Path(__file__).parents[2]
SHELLS = ("sh", "bash", "shell", "console")


@dataclass(frozen=True)
class Block:
    """A fenced block: where its first line stands, its language, its lines without the fence's indentation."""

    page: str
    line: int
    language: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The block as it would be pasted."""
        return "\n".join(self.lines) + "\n"


@dataclass(frozen=True)
class Command:
    """One program that a reader is told to run, as words; globs and redirections are as typed."""

    page: str
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {shlex.join(self.words)}"


@cache
def pages() -> tuple[Path, ...]:
    """README.md and every page of docs/."""
    return (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))


@cache
def blocks() -> tuple[Block, ...]:
    """Every fenced block of every page."""
    return tuple(block for page in pages() for block in _blocks_of(page))


@cache
def commands() -> tuple[Command, ...]:
    """Every command of a shell block, and every example that a command's own help shows."""
    typed = [command for block in blocks() if block.language in SHELLS for command in _commands_of(block)]
    return (*typed, *_examples_of_help("detrt", get_command(app)))


def _blocks_of(page: Path) -> Iterator[Block]:
    name = str(page.relative_to(ROOT))
    opened: tuple[int, str, str] | None = None
    held: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = re.match(r"( *)(```+)\s*([\w+-]*)", line)
        if fence and opened is None:
            opened, held = (number + 1, fence[2], fence[3]), []
        elif fence and opened and line.strip() == opened[1]:
            indent = min((len(text) - len(text.lstrip()) for text in held if text.strip()), default=0)
            yield Block(name, opened[0], opened[2], tuple(text[indent:] for text in held))
            opened = None
        elif opened:
            held.append(line)
    assert opened is None, f"{name}:{opened and opened[0] - 1}: the block that starts here has no end"


def _commands_of(block: Block) -> Iterator[Command]:
    pending, start = "", 0
    for number, line in enumerate(block.lines, block.line):
        if block.language == "console" and not pending and not line.startswith("$ "):
            continue  # what the command prints
        text = line.removeprefix("$ ")
        start = start if pending else number
        pending += text.removesuffix("\\")
        if not text.endswith("\\"):
            yield from _split(block.page, start, pending)
            pending = ""


def _split(page: str, line: int, text: str) -> Iterator[Command]:
    """The programs of one line: `a && b | c > d` is a, b, c."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    skip = False
    for word in (*lexer, ";"):
        if set(word) <= set("|&;") and word:
            if words:
                yield Command(page, line, tuple(words))
            words = []
        elif set(word) <= set("<>"):
            skip = True  # the file that follows is no argument
        elif skip:
            skip = False
        else:
            words.append(word)


def _examples_of_help(path: str, command: object) -> Iterator[Command]:
    for line in examples(command):
        yield from _split(f"{path} --help", 0, line)
    for name, child in getattr(command, "commands", {}).items():
        yield from _examples_of_help(f"{path} {name}", child)
