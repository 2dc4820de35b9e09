"""`detrt sensitivity`: what quantising each part of a detector costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from detrt.cli import options
from detrt.cli.app import app
from detrt.cli.console import err, out, progress_bars
from detrt.cli.quantize import Annotations, Calib, Images, Photos, PrecisionOption, RecipeOption, Seed, tell_skipped
from detrt.errors import UsageError

EXAMPLES = """
[bold]Examples[/]

  detrt sensitivity model.onnx --calib photos/\n
  detrt sensitivity model.onnx --calib photos/ --precision fp8 --each --json parts.json --plot parts.svg\n
  detrt sensitivity model.onnx --calib photos/ --annotations val.json --images val/\n
"""


@app.command(epilog=EXAMPLES)
def sensitivity(
    model: options.Model,
    calib: Calib,
    precision: PrecisionOption = "int8",
    recipe: RecipeOption = "safe",
    each: Annotated[bool, typer.Option("--each", help="Every product alone, not every part of the detector.")] = False,
    compare_on: Annotated[int, typer.Option(min=1, help="Calibration photos to compare on.")] = 64,
    annotations: Annotations = None,
    images: Images = None,
    photos: Photos = 256,
    seed: Seed = 0,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write every figure.")] = None,
    plot: options.Plot = None,
    contract: options.Contract = None,
) -> None:
    """Quantise one part at a time, and measure how far the detections move and, with labels, the AP falls."""
    from detrt.evaluate import coco_dataset
    from detrt.files import refuse_output
    from detrt.images.sources import find_files
    from detrt.models.registry import resolve_model
    from detrt.quantize.recipe import load_recipe
    from detrt.quantize.sensitivity import sensitivity_of
    from detrt.quantize.sensitivity_report import draw, save
    from detrt.quantize.workbench import open_workbench

    if (annotations is None) != (images is None):
        raise UsageError("--annotations and --images go together.", "Give both, or neither.")
    labelled = coco_dataset(annotations, images) if annotations and images else None
    source = resolve_model(model)
    inputs = [source, *find_files(calib), annotations]
    refuse_output(json, inputs=inputs)
    options.refuse_plot(plot, inputs=inputs)
    settings = load_recipe(recipe).settings(precision)
    overrides = options.contract_overrides(contract)
    bench = open_workbench(source, calib, limit=photos, seed=seed, overrides=overrides, skipped=tell_skipped)
    try:
        with progress_bars() as progress:
            parts = sensitivity_of(bench, settings, each=each, photos=compare_on, labelled=labelled, progress=progress)
    except KeyboardInterrupt:
        err.print(f"What was measured is kept in {bench.cache}; the same command goes on from there.")
        raise
    table = Table(box=None, pad_edge=False)
    columns = ("product" if each else "part", "products", "MACs", "agreement lost", "change")
    for name in (*columns, *(("AP lost",) if labelled else ())):
        table.add_column(name, justify="left" if name in ("part", "product") else "right")
    for found in parts:
        row = [escape(found.part.name), str(len(found.part.keys)), f"{found.part.macs / max(bench.macs, 1):.1%}"]
        row += [f"{found.loss.points:.2f}", f"{found.loss.change:.2g}"]
        table.add_row(*row, *((f"{found.ap_drop:.2f}",) if found.ap_drop is not None else ()))
    out.print(table)
    if json:
        save(parts, json)
    if plot:
        draw(parts, bench.macs, plot, title=f"{bench.source.name}, {precision.upper()}")
