"""`detrt models`: published models by name; what is here, and how to get the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from detrt.cli.app import app
from detrt.cli.console import err, out
from detrt.progress import Progress

EXAMPLES = """
[bold]Examples[/]

  detrt models\n
  detrt models pull deimv2-femto\n
  detrt predict deimv2-femto street.jpg\n
  DETRT_MODELS=~/models detrt models
"""
PULL_EXAMPLES = """
[bold]Examples[/]

  detrt models pull deimv2-femto deimv2-atto\n
  DETRT_CACHE=/data/detrt detrt models pull rtdetrv2-r18
"""
PATH_EXAMPLES = """
[bold]Example[/]

  cp "$(detrt models path deimv2-femto)" .
"""

models = typer.Typer(no_args_is_help=False, invoke_without_command=True, rich_markup_mode="rich")
app.add_typer(models, name="models", epilog=EXAMPLES)


def _names(incomplete: str) -> Iterator[str]:
    """Names of the registry, for the shell's completion."""
    from detrt.models.registry import registry

    return (name for name in registry() if name.startswith(incomplete))


Name = Annotated[str, typer.Argument(autocompletion=_names, help="A name that `detrt models` lists.")]
Names = Annotated[list[str], typer.Argument(autocompletion=_names, help="Names that `detrt models` lists.")]


@models.callback()
def listed(context: typer.Context) -> None:
    """List the published models that have a name here; any command takes that name for a path."""
    if context.invoked_subcommand is not None:
        return
    from detrt.models.registry import COCO_SET, cache_folder, place, registry

    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True, min_width=max(map(len, registry())))
    table.add_column("kind")
    for heading in ("size", "AP", "file"):
        table.add_column(heading, justify="right")
    table.add_column("licence")
    table.add_column("where")
    for model in registry().values():
        where = place(model)
        table.add_row(
            f"[bold]{model.name}[/]",
            model.kind,
            "x".join(map(str, model.input_size)),
            f"{model.ap:.1f}" if model.ap_on == COCO_SET else f"{model.ap:.1f}*",
            _megabytes(model.known_size),
            model.licence,
            f"[green]{where}[/]" if where != "not here" else f"[dim]{where}[/]",
        )
    out.print(table)
    others = "".join(
        f" * of {model.name}: on {model.ap_on}." for model in registry().values() if model.ap_on != COCO_SET
    )
    out.print(
        f"\nAP: {COCO_SET} as the authors state it.{others} Cache: {escape(str(cache_folder()))}. "
        "Fetch one with: detrt models pull NAME"
    )


@models.command("pull", epilog=PULL_EXAMPLES)
def pulled(names: Names) -> None:
    """Download models into the cache; an interrupted download goes on where it stopped."""
    from detrt.models.pull import pull
    from detrt.models.registry import model_of_name

    for model in [model_of_name(name) for name in names]:
        with _download_bar() as progress:
            result = pull(model, progress=progress)
        if result.source is None:
            out.print(f"[bold]{model.name}[/] is here already: {escape(str(result.path))}")
            continue
        out.print(f"[bold]{model.name}[/]: {escape(str(result.path))}")
        if not result.verified:
            err.print(
                "[yellow]Not verified:[/] nobody has published a hash of this file; "
                f"what came has SHA-256 {result.sha256}, which is kept beside it and checked from now on."
            )
        if model.sha256 and not result.tested:
            err.print(f"[yellow]Note:[/] detrt was tested with other bytes of this model (SHA-256 {model.sha256}).")


@models.command("path", epilog=PATH_EXAMPLES)
def path_of(name: Name) -> None:
    """Print where a model's file is."""
    from detrt.models.registry import resolve_model

    print(resolve_model(name))


def _megabytes(size: int | None) -> str:
    return f"{size / 1e6:.1f} MB" if size else "[dim]unknown[/]"


@contextmanager
def _download_bar() -> Iterator[Progress]:
    """A bar in bytes, where standard error is a terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        task = bars.add_task("Connecting", total=None)

        def report(stage: str, done: int, total: int | None) -> None:
            bars.update(task, description=stage, completed=done, total=total)

        yield report
