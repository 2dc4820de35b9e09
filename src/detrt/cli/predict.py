"""`detrt predict`: photos and videos in, boxes out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from detrt.cli import exit_codes, options
from detrt.cli.app import app
from detrt.cli.checkpoints import runnable
from detrt.cli.console import err, out, progress_bars, time_summary

EXAMPLES = """
[bold]Examples[/]

  detrt predict model.onnx street.jpg --save annotated\n
  detrt predict model.onnx photos/ 'more/**/*.png' --threshold 0.5 --classes person,dog --json found.jsonl\n
  detrt predict model.engine clip.mp4 --save annotated --batch 8
"""


@app.command(epilog=EXAMPLES)
def predict(
    model: options.AnyModel,
    sources: Annotated[list[str], typer.Argument(help="Photos, folders, globs in quotes, videos.")],
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Lowest score to show.")] = 0.4,
    classes: Annotated[str | None, typer.Option(help="Only these, by name or label: person,dog.")] = None,
    save: Annotated[Path | None, typer.Option(metavar="DIR", help="Leave annotated copies here.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one line of JSON an image.")] = None,
    batch: options.BatchSize = 1,
    device: options.Device = "auto",
    contract: options.Contract = None,
) -> None:
    """Detect objects in photos and videos."""
    from detrt.detector import Detector
    from detrt.files import refuse_to_replace
    from detrt.images.sources import find_files
    from detrt.models.registry import resolve_model
    from detrt.pipeline import Outcome
    from detrt.prediction import Selection, predict
    from detrt.sinks import JsonLines, Pictures, Sink, keep_originals
    from detrt.stages import StageTimes

    files = find_files(sources)
    failed: list[Outcome] = []
    given = resolve_model(model)
    if json:
        refuse_to_replace([*files, given], json)
    if save:
        keep_originals(files, save)
    path = runnable(given, purpose="Running a checkpoint")
    with Detector.open(path, device=device, overrides=options.contract_overrides(contract)) as detector:
        names = detector.contract.class_names
        sinks: list[Sink] = [JsonLines(json, names)] if json else []
        sinks += [Pictures(save, names)] if save else []
        select = Selection(threshold, options.class_labels(classes, names))
        times = StageTimes()
        with progress_bars() as progress:
            for outcome in predict(
                detector, files, select=select, sinks=sinks, batch=batch, times=times, progress=progress
            ):
                if outcome.error:
                    failed.append(outcome)
                    err.print(f"[bold red]Skipped:[/] {escape(str(outcome.error))}")
                elif outcome.detections is not None:
                    counts = Counter(map(detector.contract.name_of, outcome.detections.labels.tolist()))
                    text = ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"
                    out.print(f"{escape(outcome.item.name)}: {escape(text)}")
        err.print(
            f"[bold]{times.images - len(failed)} of {times.images}[/] images on {detector.runtime.name}: "
            f"{time_summary(times, times.wall)}"
        )
    if failed:
        raise typer.Exit(exit_codes.SOME_SKIPPED)
