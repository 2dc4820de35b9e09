"""`detrt eval`: the COCO AP of a model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from detrt.cli import options
from detrt.cli.app import app
from detrt.cli.checkpoints import runnable
from detrt.cli.console import err, out, progress_bars, time_summary
from detrt.errors import UsageError

if TYPE_CHECKING:
    from detrt.evaluate import CocoScores

EXAMPLES = """
[bold]Examples[/]

  detrt eval model.onnx --annotations instances_val2017.json --images val2017\n
  detrt eval model.engine --annotations instances_val2017.json --images val2017 --batch 8 --json ap.json\n
  detrt eval --results found.json --annotations instances_val2017.json --images val2017
"""


@app.command("eval", epilog=EXAMPLES)
def evaluate(
    annotations: Annotated[Path, typer.Option(metavar="JSON", help="COCO's instances file.")],
    images: Annotated[Path, typer.Option(metavar="DIR", help="The folder of its photos.")],
    model: Annotated[str | None, typer.Argument(help=options.ANY_MODEL)] = None,
    results: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Score this COCO result file instead of a model.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first photos by id.")] = None,
    batch: options.BatchSize = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    per_class: Annotated[bool, typer.Option("--per-class", help="Print the AP of each class.")] = False,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write every figure as JSON.")] = None,
    device: options.Device = "auto",
    contract: options.Contract = None,
) -> None:
    """Score a model on a COCO set: the twelve figures and the AP of each class."""
    from detrt import evaluate as room
    from detrt.detector import Detector
    from detrt.evaluate.journal import journal_of
    from detrt.evaluate.report import write_json, write_scores
    from detrt.files import refuse_output
    from detrt.graph.onnx_file import sha256_of_model
    from detrt.models.registry import resolve_model

    if (model is None) == (results is None):
        raise UsageError(
            "Neither a model nor results are given." if model is None else "A model and results are given.",
            "Give one of MODEL and --results FILE.",
        )
    dataset = room.coco_dataset(annotations, images, limit=limit)
    read = [annotations, *(photo.path for photo in dataset.photos)]
    if model is None:
        assert results is not None
        refuse_output(json, inputs=[results, *read])
        scores = room.score(dataset, room.found_in_results(results, dataset), dataset.category_ids)
        _print(scores, per_class=per_class)
        if json:
            write_scores(json, scores, results=results, photos=len(dataset.photos))
        return
    given = resolve_model(model)
    refuse_output(json, inputs=[given, *read])
    file = runnable(given, purpose="Running a checkpoint")
    model_hash = sha256_of_model(file)
    journal = journal_of(model_hash, annotations, images)
    with Detector.open(file, device=device, overrides=options.contract_overrides(contract)) as detector:
        try:
            with progress_bars() as progress:
                done = room.evaluate(
                    detector,
                    dataset,
                    batch=batch,
                    journal=journal,
                    model_hash=model_hash,
                    resume=resume,
                    progress=progress,
                )
        except BaseException:
            if journal.is_file():
                err.print(f"What was computed is kept in {journal}; the same command with --resume goes on from there.")
            raise
        name = detector.runtime.name
    _print(done.scores, per_class=per_class)
    if json:
        write_json(json, done, model=file, model_hash=model_hash, runtime=name)
    err.print(
        f"{len(dataset.photos)} photos ({done.resumed} resumed) on {name}, batch {batch}: "
        f"{time_summary(done.times, done.seconds)}; scoring {done.scoring_seconds:.1f} s"
    )


def _print(scores: CocoScores, *, per_class: bool) -> None:
    out.print(_table(scores.figures))
    if per_class:
        out.print(_table(scores.by_class))


def _table(figures: dict[str, float]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in figures.items():
        table.add_row(name, "-" if math.isnan(value) else f"{value:.2f}")
    return table
