"""`detrt doctor`: what of this machine can be used, and what to install for the rest."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from detrt import __version__
from detrt.cli.app import app
from detrt.cli.console import err, out, progress_bars

EXAMPLES = """
[bold]Examples[/]

  detrt doctor\n
  detrt doctor --json > machine.json
"""


@app.command(epilog=EXAMPLES)
def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for a bug report or a program.")] = False,
) -> None:
    """Say which runtimes, GPUs and versions are usable here, and what to install for the others."""
    from detrt.runtime.available import machine

    with progress_bars() as progress:
        found = machine(progress=progress)
    python = ".".join(map(str, sys.version_info[:3]))
    if json:
        import orjson

        packages = [asdict(package) | {"usable": package.usable} for package in found.packages]
        report = {"detrt": __version__, "python": python} | asdict(found) | {"packages": packages}
        print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
        return
    out.print(f"detrt {__version__}, Python {python}\n")
    for gpu in found.gpus:
        capability = ".".join(map(str, gpu.capability))
        out.print(f"[bold]GPU[/]  {gpu.name}, compute capability {capability}, {gpu.memory:,} MiB, driver {gpu.driver}")
    if not found.gpus:
        out.print(f"[bold]GPU[/]  none: {escape(found.no_gpu)}")
    table = Table(box=None, pad_edge=False, show_header=False)
    for package in found.packages:
        detail = f"({package.detail})" if package.detail else ""
        missing = f"\n{package.detail.rstrip('.')}. Install: {package.install}"
        table.add_row(
            "[green]yes[/]" if package.usable else "[red]no[/]",
            f"{package.name} {escape(package.version or '')}",
            f"{package.gives} [dim]{escape(detail)}[/]"
            if package.usable
            else f"{package.gives}[dim]{escape(missing)}[/]",
        )
    out.print()
    out.print(table)
    for warning in found.warnings:
        err.print(f"[yellow]Note:[/] {escape(warning)}")
