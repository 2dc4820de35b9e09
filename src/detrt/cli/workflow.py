"""`detrt workflow`: one command from checkpoint to verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from detrt.cli import exit_codes, options
from detrt.cli.app import app
from detrt.cli.console import err, out, progress_bars
from detrt.errors import UsageError

if TYPE_CHECKING:
    from detrt.workflow.step import Outcome

EXAMPLES = """
[bold]Examples[/]

  detrt workflow model.onnx --calib photos/ --annotations val.json --images val/ -o out --dry-run\n
  detrt workflow model.onnx --calib photos/ --annotations val.json --images val/ -o out\n
  detrt workflow rtdetrv2_r18vd.pth --calib photos/ --annotations val.json --images val/ -o out --budget 20\n
  detrt workflow --config workflow.yaml -o out\n
  detrt workflow -o out\n

The last goes on with out/workflow.yaml, here or on the machine that the folder was carried to.
"""

NOTHING_SAID = "Give the model, --calib, --annotations and --images, or the -o DIR of an earlier workflow."

_MARKS = {
    "finished": ("done", "green"),
    "kept": ("kept", "green"),
    "due": ("due", "bold"),
    "impossible": ("not here", "yellow"),
    "failed": ("failed", "bold red"),
    "left out": ("left out", "dim"),
}


@app.command(epilog=EXAMPLES)
def workflow(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where everything is written.")],
    model: Annotated[
        str | None, typer.Argument(help="An ONNX file, a checkpoint, or a name that `detrt models` lists.")
    ] = None,
    calib: Annotated[
        list[str] | None, typer.Option(metavar="DIR", help="Photos to calibrate on: a folder, a glob. Repeatable.")
    ] = None,
    annotations: Annotated[str | None, typer.Option(metavar="JSON", help="COCO's instances file, to judge by.")] = None,
    images: Annotated[str | None, typer.Option(metavar="DIR", help="The folder of its photos.")] = None,
    precisions: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="fp32,fp16,int8,fp8 by default; bf16 is known too.")
    ] = None,
    target_drop: Annotated[
        float | None, typer.Option(metavar="AP", help="AP that the model that ships may lose; 0.3 by default.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(metavar="MIN", help="Minutes after which each quantisation's search tries no more.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Of `detrt quantize`; safe by default.")
    ] = None,
    photos: Annotated[int | None, typer.Option(help="Calibration photos at most; 256 by default.")] = None,
    limit: Annotated[int | None, typer.Option(help="Score on the first photos by id; on all by default.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Timed seconds for each figure; 3 by default.")] = None,
    skip: Annotated[
        str | None,
        typer.Option(
            metavar="KIND,...", help="Leave out steps: quantize, build, score, time, compare, explain, profile."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML with any of these options; the command line wins.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")] = False,
    contract: options.Contract = None,
) -> None:
    """Export, quantise, build, score, time, compare and profile a model; then say which to ship, and why.

    Steps whose inputs have not changed are kept, so an interrupted command goes on where it was. What this machine
    cannot do is skipped by name, and listed.
    """
    from detrt.workflow.options import FILE, options_from, options_in
    from detrt.workflow.workflow import preview_workflow, run_workflow

    told = {
        "model": model, "calib": calib, "annotations": annotations, "images": images, "precisions": precisions,
        "target_drop": target_drop, "budget": budget, "recipe": recipe, "photos": photos, "limit": limit,
        "seconds": seconds, "skip": skip, "contract": contract,
    }  # fmt: skip
    earlier = output / FILE
    file = config or (earlier if model is None and earlier.is_file() else None)
    typed = {key: value for key, value in told.items() if value not in (None, [], ())}
    if file is None and not typed:
        raise UsageError(f"{earlier} is not there, and nothing else says what to do.", NOTHING_SAID)
    chosen = options_from(options_in(file) if file else {}, typed)
    overrides = options.contract_overrides(chosen.contract)
    if dry_run:
        for outcome in preview_workflow(chosen, output, overrides):
            out.print(_line(outcome))
        return
    try:
        with progress_bars() as progress:
            finished = run_workflow(chosen, output, overrides, told=lambda it: err.print(_line(it)), progress=progress)
    except KeyboardInterrupt:
        err.print(f"What is done is kept in {escape(str(output))}; the same command goes on from there.")
        raise
    _tell_verdict(finished.verdict.headline, (*finished.verdict.reasons, *finished.verdict.cautions), output)
    if finished.failed:
        raise typer.Exit(exit_codes.SOME_SKIPPED)


def _line(outcome: Outcome) -> str:
    """What became of a step, or would."""
    word, style = _MARKS[outcome.state]
    took = f"{outcome.seconds:7.1f} s" if outcome.seconds else " " * 9
    reason = f"  [dim]{escape(outcome.reason)}[/]" if outcome.reason else ""
    return f"[{style}]{word:8}[/]  {escape(outcome.step):20} {took}{reason}".rstrip()


def _tell_verdict(headline: str, sentences: tuple[str, ...], output: Path) -> None:
    out.print(f"\n[bold]{escape(headline)}[/]")
    for sentence in sentences:
        out.print(escape(sentence))
    out.print(f"[dim]{escape(str(output / 'report.html'))}, report.md, report.json[/]")
