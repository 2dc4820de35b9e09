"""`detrt bench`: how fast models run, side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from detrt.cli import exit_codes, options
from detrt.cli.app import app
from detrt.cli.console import err, out, progress_bars
from detrt.errors import UsageError

if TYPE_CHECKING:
    from detrt.benchmark.report import BenchmarkReport

EXAMPLES = """
[bold]Examples[/]

  detrt bench model.engine\n
  detrt bench ours.engine theirs.engine model.onnx --batch 1,8,32 --photos val2017 --json bench.json --plot bench.png\n
  detrt bench model.engine --protocol engine,e2e,stream --batch 1,8,32 --photos val2017\n
  detrt bench model.engine --graph both --streams 1,2,4\n
  detrt bench random:r18vd --runtime torch,torch-compiled --precision fp32,fp16

Models take turns in rounds, so ratios hold even where clocks drift. The last
column compares the time of an image with that of the first row.
"""


@app.command(epilog=EXAMPLES)
def bench(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Engines, ONNX files, checkpoints, names that `detrt models` lists; random:r18vd is untrained.",
        ),
    ],
    protocol: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="engine: device compute only. infer: decoded photo to detections. e2e: JPEG bytes to detections, "
            "call by call. stream: the same through the pipeline.",
        ),
    ] = "engine",
    batch: Annotated[str, typer.Option(metavar="N,...", help="Images a run.")] = "1",
    runtime: Annotated[
        str,
        typer.Option(metavar="NAME,...", help="onnxruntime-cpu, onnxruntime-cuda, tensorrt, torch, torch-compiled."),
    ] = "",
    precision: Annotated[
        str, typer.Option(metavar="NAME,...", help="Of PyTorch models: fp32, tf32, fp16, bf16. Files have their own.")
    ] = "fp32",
    graph: Annotated[str, typer.Option(help="Launch engines through a CUDA graph: on, off or both.")] = "on",
    streams: Annotated[str, typer.Option(metavar="N,...", help="Runs under way at once.")] = "1",
    photos: Annotated[Path | None, typer.Option(metavar="DIR", help="Photos to run on; made ones if left out.")] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="Timed seconds for each row.")] = 5.0,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything measured.")] = None,
    plot: options.Plot = None,
) -> None:
    """Time models: percentiles, throughput and ratios, all from one run."""
    from detrt.benchmark.plot import plot as draw
    from detrt.benchmark.run import benchmark
    from detrt.benchmark.subjects import cases_of
    from detrt.benchmark.turns import Pace
    from detrt.files import refuse_output

    named = [_resolved(model) for model in models]
    inputs = [*named, *(photos.glob("*") if photos else ())]
    refuse_output(json, inputs=inputs)
    options.refuse_plot(plot, inputs=inputs)
    cases = cases_of(
        named,
        runtimes=_words(runtime),
        protocols=_words(protocol),
        batch_sizes=_numbers("--batch", batch),
        graphs=_graphs(graph),
        streams=_numbers("--streams", streams),
        precisions=_words(precision),
    )
    with progress_bars() as progress:
        report = benchmark(
            cases, photos=photos, pace=Pace(seconds), command=["detrt", *sys.argv[1:]], progress=progress
        )
    if report.rows:
        out.print(_table(report))
        out.print(f"[dim]{report.machine}[/]")
        if json:
            report.save(json)
        if plot:
            draw(report, plot)
    for failure in report.failures:
        err.print(f"[bold red]Skipped:[/] {escape(failure)}")
    if not report.complete:
        err.print(
            f"Interrupted: {len(report.rows)} of {len(cases)} rows have been timed, for a shorter time than asked."
        )
        raise typer.Exit(exit_codes.INTERRUPTED)
    if report.failures:
        raise typer.Exit(exit_codes.SOME_SKIPPED)


def _table(report: BenchmarkReport) -> Table:
    from detrt.benchmark.timings import ratio

    clocks = any(row.clocks_mhz for row in report.rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("milliseconds a run", overflow="fold")
    for name in ("p50", "p90", "p99", "spread", "images/s", "to first", *(("MHz",) if clocks else ())):
        table.add_column(name, justify="right", no_wrap=True)
    for row in report.rows:
        middle, low, high = ratio(row, report.rows[0])
        table.add_row(
            escape(f"{row.subject.model}\n{row.subject.runtime}\n{row.subject.how}"),
            *(f"{value:.4g}" for value in (row.p50, row.p90, row.p99)),
            f"{row.spread:.1%}" + ("" if row.settled else "!"),
            f"{row.images_per_second:,.0f}" if row.images_per_second >= 10 else f"{row.images_per_second:.2g}",
            "" if row is report.rows[0] else f"{middle:.2f}\n{low:.2f}..{high:.2f}",
            *(((f"{min(row.clocks_mhz)}\n{max(row.clocks_mhz)}" if row.clocks_mhz else ""),) if clocks else ()),
        )
    if not all(row.settled for row in report.rows):
        table.caption = "! not stable when the warm-up's time was over"
    return table


def _resolved(model: str) -> str:
    """A path as it is, a published model's name as the path of its file."""
    from detrt.models.registry import resolve_model

    return model if Path(model).suffix or ":" in model else str(resolve_model(model))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _numbers(option: str, text: str) -> list[int]:
    words = _words(text)
    if not words or not all(word.isdecimal() and 0 < int(word) <= 4096 for word in words):
        raise UsageError(f"{option} {text} is no list of numbers from 1 to 4096.", f"Write it as {option} 1,8,32.")
    return [int(word) for word in words]


def _graphs(text: str) -> list[bool]:
    choices = {"on": [True], "off": [False], "both": [True, False]}
    if text not in choices:
        raise UsageError(f"--graph {text} is neither on, off nor both.", "Leave it out for on.")
    return choices[text]
