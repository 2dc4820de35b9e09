"""The command line as a whole: its commands, and what becomes of an error."""

from __future__ import annotations

import io
import os
import sys
from errno import EACCES, EDQUOT, EEXIST, EISDIR, ENAMETOOLONG, ENOSPC, ENOTDIR, EPERM, EROFS
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from detrt import __version__
from detrt.cli import exit_codes
from detrt.cli.console import err
from detrt.errors import DetrtError, UsageError
from detrt.settings import cache_dir

_REFUSED = frozenset({EACCES, EDQUOT, EEXIST, EISDIR, ENAMETOOLONG, ENOSPC, ENOTDIR, EPERM, EROFS})

app = typer.Typer(
    name="detrt",
    help="RT-DETR-family detectors on NVIDIA GPUs: the fastest engine that is still right, proved by its own AP.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"detrt {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every command; `main` looks for --debug itself."""


def main() -> None:
    """Run the command line; errors end in one message and a documented exit code (docs/exit-codes.md)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show ends nothing
    debug = "--debug" in sys.argv  # wherever it stands, before the command or after it
    try:
        app([argument for argument in sys.argv[1:] if argument != "--debug"], prog_name="detrt")
    except KeyboardInterrupt:
        err.print("Interrupted.")
        raise SystemExit(exit_codes.INTERRUPTED) from None
    except Exception as error:
        if debug:
            err.print_exception()
        told = _in_two_sentences(error)
        err.print(f"[bold red]Error:[/] {escape(told.problem)}\n[bold]Do:[/] {escape(told.remedy)}")
        raise SystemExit(exit_codes.of(told)) from None


def _in_two_sentences(error: Exception) -> DetrtError:
    """What has no type of ours is a fault of detrt, but for places that the machine lets nobody write to."""
    if isinstance(error, DetrtError):
        return error
    if isinstance(error, OSError) and error.errno in _REFUSED:
        place = "A file" if error.filename is None else str(error.filename)
        path = "Let DETRT_CACHE name a folder that can be written" if _is_of_cache(place) else "Give another path"
        return UsageError(
            f"{place} cannot be read or written: {error.strerror}.",
            f"{path}, or see to its folder, its permissions and the free space.",
        )
    return DetrtError(
        f"detrt failed: {type(error).__name__}: {error}.",
        "This is a fault of detrt. Please report it with what --debug prints.",
    )


def _is_of_cache(place: str) -> bool:
    """Whether it lies in the cache, or above and was to be made for the cache: a place that no option has named."""
    path, cache = Path(place).absolute(), cache_dir().absolute()
    return path.is_relative_to(cache) or (cache.is_relative_to(path) and not os.path.isdir(path))  # noqa: PTH112 Path's may raise
