"""`detrt profile`: where an engine's time goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from detrt.cli import options
from detrt.cli.app import app
from detrt.cli.console import err, out, progress_bars
from detrt.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from detrt.profile.difference import Change
    from detrt.profile.profile import EngineProfile, Share

EXAMPLES = """
[bold]Examples[/]

  detrt profile model.engine --html profile.html\n
  detrt profile trtexec_output/ --top 20 --svg graph.svg --trace trace.json\n
  detrt profile --diff before.engine after.engine
"""


@app.command(epilog=EXAMPLES)
def profile(
    engines: Annotated[
        list[Path],
        typer.Argument(help="An engine, a folder of TensorRT's JSON files, or the inspector's JSON; two with --diff."),
    ],
    diff: Annotated[bool, typer.Option("--diff", help="Compare two engines.")] = False,
    top: Annotated[int, typer.Option(min=0, help="How many layers to print, longest first.")] = 10,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one page with everything.")] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the graph as a picture.")] = None,
    color: Annotated[str, typer.Option(help="What the picture's colours mean: group or precision.")] = "group",
    trace: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a trace for ui.perfetto.dev.")] = None,
    save: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep what was measured on an engine.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="How often to run an engine.")] = 200,
    device: options.Device = "auto",
) -> None:
    """Show an engine's layers: their parts of the detector, precision, time, and the graph as a picture."""
    from detrt.files import refuse_output

    if len(engines) != (2 if diff else 1):
        raise UsageError(
            f"{len(engines)} engines were given.", "Give one engine, or two with --diff: detrt profile --diff A B"
        )
    if color not in ("group", "precision"):
        raise UsageError(f"--color {color} is neither group nor precision.", "Use --color group or --color precision.")
    _refuse_unwritten(engines, diff=diff, asked={"html": html, "svg": svg, "trace": trace, "save": save})
    for output in (html, svg, trace):
        refuse_output(output, inputs=[file for engine in engines for file in (engine, *engine.glob("*.json"))])
    profiles = [_profile_of(engine, runs, device, save) for engine in engines]
    if diff:
        _print_difference(*profiles, top=top)
        return
    (found,) = profiles
    _print(found, top)
    _write(found, html=html, svg=svg, color=color, trace=trace)


def _refuse_unwritten(engines: list[Path], *, diff: bool, asked: dict[str, Path | None]) -> None:
    """Fail where something is to be written that there will not be."""
    options = ", ".join(f"--{name}" for name, path in asked.items() if path)
    if diff and options:
        raise UsageError(f"A comparison is printed alone, without {options}.", "Profile each engine with these first.")
    if asked["save"] and engines[0].suffix != ".engine":
        raise UsageError(f"{engines[0]} has its files already: nothing is measured.", "Leave out --save.")


def _profile_of(engine: Path, runs: int, device: str, save: Path | None) -> EngineProfile:
    from detrt.profile.load import profile_from_files

    if engine.suffix != ".engine":
        return profile_from_files(engine)
    from detrt.profile.live import profile_engine

    with progress_bars() as progress:
        return profile_engine(engine, runs=runs, device=device, save=save, progress=progress)


def _write(found: EngineProfile, *, html: Path | None, svg: Path | None, color: str, trace: Path | None) -> None:
    import json

    from detrt.profile.page import page_of
    from detrt.profile.picture import svg_of
    from detrt.profile.trace import trace_of

    if html:
        _save(html, page_of(found))
    if svg:
        _save(svg, svg_of(found, color="group" if color == "group" else "precision"))
    if trace:
        _save(trace, json.dumps(trace_of(found)))


def _save(path: Path, text: str) -> None:
    from detrt.files import whole

    with whole(path) as part:
        part.write_text(text, encoding="utf-8")
    err.print(f"Wrote {escape(str(path))}")


def _print(found: EngineProfile, top: int) -> None:
    out.print(f"[bold]{escape(found.name)}[/]  {found.device}")
    if found.latency:
        latency = found.latency
        out.print(
            f"latency {latency.median:.4f} ms median ({latency.least:.4f} to {latency.most:.4f}), {latency.runs} runs"
        )
    copies, quantizers = found.reformats, found.quantizers
    out.print(
        f"{len(found.layers)} layers; {copies.layers} reformats ({quantizers.layers} quantise), "
        f"{copies.time:.0f} µs, {copies.percent:.1f} %"
    )
    if found.times and found.latency:
        ratio = found.total / 1e3 / found.latency.median
        out.print(
            f"The layers sum to {found.total / 1e3:.3f} ms, {ratio:.2f} times the latency: they were profiled one at a "
            "time. Shares tell where to look, not what there is to win."
        )
    out.print()
    out.print(_share_table("part", found.by_group))
    out.print()
    out.print(_share_table("precision", found.by_precision))
    if top:
        out.print()
        out.print(_top_table(found, top))


def _share_table(title: str, shares: Iterable[Share]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(title)
    for name in ("%", "µs", "layers"):
        table.add_column(name, justify="right")
    for share in shares:
        table.add_row(share.name, f"{share.percent:.1f}", f"{share.time:.0f}", str(share.layers))
    return table


def _top_table(found: EngineProfile, top: int) -> Table:
    from detrt.profile.labels import label_of

    table = Table(box=None, pad_edge=False)
    for name in ("µs", "%"):
        table.add_column(name, justify="right")
    for name in ("layer", "part", "precision"):
        table.add_column(name)
    for number in found.top(top):
        layer, time = found.layers[number], found.mean[number]
        table.add_row(
            f"{time:.1f}", f"{found.percent(time):.2f}", escape(label_of(layer)), found.groups[number], layer.precision
        )
    return table


def _print_difference(before: EngineProfile, after: EngineProfile, *, top: int) -> None:
    from detrt.profile.difference import difference

    found = difference(before, after)
    out.print(f"[bold]{escape(before.name)}[/] -> [bold]{escape(after.name)}[/]")
    if before.latency and after.latency:
        old, new = before.latency.median, after.latency.median
        out.print(f"latency {old:.4f} -> {new:.4f} ms, {100 * (new / old - 1):+.1f} %")
    out.print(f"layers {len(before.layers)} -> {len(after.layers)}; sum {before.total:.0f} -> {after.total:.0f} µs\n")
    out.print(_change_table("part", found.groups))
    out.print()
    out.print(_change_table("what changed most", found.layers[:top]))


def _change_table(title: str, changes: Iterable[Change]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(title)
    for name in ("before µs", "after µs", "change"):
        table.add_column(name, justify="right")
    for change in changes:
        times = ("-" if time is None else f"{time:.1f}" for time in (change.before, change.after))
        table.add_row(escape(change.name), *times, f"{change.delta:+.1f}")
    return table
