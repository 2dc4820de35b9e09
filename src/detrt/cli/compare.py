"""`detrt compare`: whether two models find the same, and where they part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from detrt.cli import options
from detrt.cli.app import app
from detrt.cli.console import err, out, progress_bars

if TYPE_CHECKING:
    from detrt.compare.detections import DetectionComparison, Spread
    from detrt.compare.layers import LayerComparison

EXAMPLES = """
[bold]Examples[/]

  detrt compare model.onnx model.engine --images photos/\n
  detrt compare model.onnx model_int8.onnx --images photos/ --layers\n
  detrt compare checkpoint.pth model.onnx --images photos/\n
  detrt compare model.onnx marked.engine --images photos/ --layers --json difference.json
"""

_COLORS = {"same": "green", "drifts": "yellow", "broken": "red"}


@app.command(epilog=EXAMPLES)
def compare(
    first: Annotated[
        str, typer.Argument(metavar="A", help="The reference: an ONNX file, an engine, a checkpoint, or a name.")
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="The model to judge.")],
    images: Annotated[list[str], typer.Option(metavar="DIR", help="Photos, folders or globs. May be repeated.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first photos.")] = None,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Score from which on a detection counts.")] = 0.3,
    layers: Annotated[bool, typer.Option("--layers", help="Also find the first tensor that drifts.")] = False,
    top: Annotated[int, typer.Option(min=0, help="How many tensors to print, those that add most first.")] = 5,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write every figure as JSON.")] = None,
    device: options.Device = "auto",
    contract: options.Contract = None,
) -> None:
    """Compare what two models find, whatever the order of their detections; then their tensors."""
    from detrt.compare.detectors import compare_detectors
    from detrt.compare.files import compare_layers_of
    from detrt.compare.opening import open_detector
    from detrt.compare.report import write_json
    from detrt.files import refuse_output
    from detrt.images.sources import find_files
    from detrt.models.registry import resolve_model

    paths = [resolve_model(name) for name in (first, second)]
    photos = find_files(images)[:limit]
    refuse_output(json, inputs=[*paths, *photos])
    overrides = options.contract_overrides(contract)
    with (
        open_detector(paths[0], device=device, overrides=overrides) as one,
        open_detector(paths[1], device=device, overrides=overrides) as other,
        progress_bars() as progress,
    ):
        found = compare_detectors(one, other, photos, threshold=threshold, progress=progress)
        walked = None
        if layers:
            pair = (paths[0], one), (paths[1], other)
            walked = compare_layers_of(*pair, photos, device=device, progress=progress)
        names = one.runtime.name, other.runtime.name
    for letter, path, name in zip("AB", paths, names, strict=True):
        err.print(f"{letter}: {escape(str(path))} on {name}")
    _print(found)
    if walked:
        out.print()
        _print_layers(walked, top)
    if json:
        write_json(json, found, walked, models=paths)


def _print(found: DetectionComparison) -> None:
    out.print(f"[bold {_COLORS[found.verdict]}]{found.verdict}[/]: {found.reason}")
    out.print(
        f"{found.counted} detections of {found.threshold:g} or more in {len(found.photos)} photos: "
        f"{found.agreed} in both, {found.only_first} only in A, {found.only_second} only in B\n"
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("drift of a pair")
    for name in ("mean", "median", "p90", "most"):
        table.add_column(name, justify="right")
    for title, spread, digits in (
        ("score", found.score_drift, 4), ("box, pixels", found.box_drift, 2), ("1 - IoU", found.iou_loss, 4),
    ):  # fmt: skip
        table.add_row(title, *(f"{value:.{digits}f}" for value in _values(spread)))
    out.print(table)
    out.print(f"mean shift of the scores {found.score_shift:+.4f}")
    if found.verdict != "same":
        out.print("\nThe photos that differ most:")
        for photo in found.worst(3):
            out.print(
                f"  {escape(photo.name)}: closeness {photo.closeness:.3f}, {photo.agreed} of {photo.counted} agree"
            )


def _values(spread: Spread) -> tuple[float, ...]:
    return spread.mean, spread.median, spread.p90, spread.most


def _print_layers(walked: LayerComparison, top: int) -> None:
    out.print(f"{len(walked.tensors)} tensors compared, from input to output")
    if walked.first is None:
        out.print("[green]No tensor drifts.[/]")
    else:
        first = walked.first
        out.print(f"[bold]First to drift: {escape(first.name)}[/]")
        out.print(
            f"  by {first.drift.size:.1%} of its standard deviation; what it is made from by {first.inherited:.1%}"
        )
        out.print(f"  looks like {first.drift.looks_like}\n")
    if top:
        out.print("  drift     own   mean A   mean B    std A    std B  cosine  p90|B-A|  tensor")
    for tensor in walked.worst(top):
        drift = tensor.drift
        sides = (drift.mean_first, drift.mean_second, drift.std_first, drift.std_second)
        figures = " ".join(f"{figure:8.3g}" for figure in sides)
        out.print(
            f"{drift.size:7.1%} {tensor.own:7.1%} {figures} {drift.cosine:7.4f} {drift.p90:9.3g}  {escape(tensor.name)}"
        )
