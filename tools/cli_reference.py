"""A Markdown extension for the documentation: the line `::: cli` becomes the reference of every command.

It is made from the commands themselves when the site is built (`make docs`), so it cannot differ from `--help`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor
from rich.text import Text
from typer.main import get_command

PLACEHOLDER = "::: cli"
_KINDS = (
    (r" <list\[\w+\]>", " ..."),
    (r"^(\w+) <str>$", r"\1"),
    ("<str>", "NAME"),
    (r"<int\b.*?>", "N"),
    (r"<float\b.*?>", "X"),
)
"""What the command-line library calls the kind of a value, and what it is called here."""


def reference() -> Iterator[str]:
    """The Markdown of all commands, a line at a time, in the order of `detrt --help`."""
    import detrt.cli  # it registers the commands
    from detrt.cli.app import app

    assert detrt.cli
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        yield from _entry(f"detrt {name}", command, level=2)


def examples(command: Any) -> Iterator[str]:
    """The commands that a command's help shows, as typed, without the prose around them."""
    for line in _plain(command.epilog):
        if line.startswith("detrt "):
            yield line


def _entry(path: str, command: Any, *, level: int) -> Iterator[str]:
    context = command.context_class(command, info_name=path)
    yield from ("", f"{'#' * level} {path}", "", command.help or "", "")
    children = getattr(command, "commands", {})
    if not children or command.params:
        yield from ("```text", command.get_usage(context).removeprefix("Usage: "), "```", "")
        records = [
            record for p in command.get_params(context) if p.name != "help" and (record := p.get_help_record(context))
        ]
        if records:
            yield from ("| argument or option | |", "| --- | --- |")
            yield from (f"| {_code(names)} | {_cell(help_text)} |" for names, help_text in records)
    if shown := list(examples(command)):
        yield from ("", "```console", *(f"$ {line}" for line in shown), "```", "")
    yield from _remarks(command)
    for name, child in children.items():
        yield from _entry(f"{path} {name}", child, level=level + 1)


def _remarks(command: Any) -> Iterator[str]:
    """What an epilog says beside its examples."""
    for line in _plain(command.epilog):
        if line and not line.startswith("detrt ") and line not in ("Example", "Examples"):
            yield line


def _plain(epilog: str | None) -> list[str]:
    return [line.strip() for line in Text.from_markup(epilog or "").plain.splitlines()]


def _code(names: str) -> str:
    """`-o, --output FILE` as two pieces of code, which may stand on two lines; the kind of a value in one word."""
    for kind, shown in _KINDS:
        names = re.sub(kind, shown, names)
    *aliases, last = names.split(", ") if names.startswith("-") else [names]
    return ", ".join(f"`{_escaped(part)}`" for part in (*aliases, last))


def _cell(text: str) -> str:
    text = re.sub(r"\s*\[(default: [^\]]*|required|\d[^\]]*x[^\]]*|x[<>=][^\]]*)\]$", r" *(\1)*", text)
    return _escaped(re.sub(r"(?<![`\w])(--?[a-z][\w-]*)", r"`\1`", text) if "`" not in text else text)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


class _Insert(Preprocessor):  # type: ignore[misc]
    def run(self, lines: list[str]) -> list[str]:
        return [out for line in lines for out in (reference() if line.strip() == PLACEHOLDER else (line,))]


class _CliReference(Extension):  # type: ignore[misc]
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the name that Markdown calls
        md.preprocessors.register(_Insert(md), "cli", 100)


def makeExtension(**settings: Any) -> Extension:  # noqa: N802 - the name that Markdown looks for
    """The extension, for Python-Markdown."""
    return _CliReference(**settings)
