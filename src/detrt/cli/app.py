"""The command line as a whole: its commands, and what becomes of an error."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from detrt import __version__
from detrt.cli import exit_codes
from detrt.errors import DetrtError

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
    debug = "--debug" in sys.argv  # wherever it stands, before the command or after it
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        app([argument for argument in sys.argv[1:] if argument != "--debug"], prog_name="detrt")
    except DetrtError as error:
        if debug:
            console.print_exception()
        console.print(f"[bold red]Error:[/] {escape(error.problem)}\n[bold]Do:[/] {escape(error.remedy)}")
        raise SystemExit(exit_codes.of(error)) from None
    except KeyboardInterrupt:
        console.print("Interrupted.")
        raise SystemExit(exit_codes.INTERRUPTED) from None
    except Exception as error:  # a fault of detrt itself; those of its user have types
        if debug:
            console.print_exception()
        console.print(f"[bold red]Error:[/] detrt failed: {escape(f'{type(error).__name__}: {error}')}.")
        console.print("[bold]Do:[/] This is a fault of detrt. Please report it with what --debug prints.")
        raise SystemExit(exit_codes.FAILED) from None
