"""`detrt quantize`: an ONNX model whose products run on 8 bits, and the AP that this costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from detrt.cli import options
from detrt.cli.app import app
from detrt.cli.checkpoints import runnable
from detrt.cli.console import err, out, progress_bars
from detrt.errors import ImageError, UsageError

if TYPE_CHECKING:
    from detrt.quantize.report import Report

EXAMPLES = """
[bold]Examples[/]

  detrt quantize model.onnx --calib photos/ -o model.int8.onnx\n
  detrt quantize model.onnx --calib photos/ -o model.fp8.onnx --precision fp8 --target-drop 0.5 --budget 20\n
  detrt quantize rtdetrv2_r18vd.pth --calib photos/ -o r18.int8.onnx --target-drop 0.5\n
  detrt quantize rtdetrv2_r18vd.pth --calib photos/ -o r18.int8.onnx --recipe percentile --calibrate-in torch\n
  detrt quantize model.onnx --calib photos/ -o model.int8.onnx --recipe my.yaml --rest fp16\n
  detrt quantize model.onnx --calib photos/ -o model.int8.onnx --annotations val.json --images val/\n
"""

Calib = Annotated[
    list[str], typer.Option("--calib", metavar="DIR", help="Photos to calibrate on: a folder, a glob. Repeatable.")
]
Photos = Annotated[int, typer.Option("--photos", min=1, help="How many of them at most.")]
Seed = Annotated[int, typer.Option(help="Of the choice among them.")]
PrecisionOption = Annotated[Literal["int8", "fp8"], typer.Option("--precision", help="The narrow type.")]
RecipeOption = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        help="safe, default, max, entropy, percentile, conv-only, backbone-encoder, q_config_1..3, or a YAML file.",
    ),
]
Annotations = Annotated[
    Path | None, typer.Option(metavar="JSON", help="COCO's instances file, to judge the result by; with --images.")
]
Images = Annotated[Path | None, typer.Option(metavar="DIR", help="The folder of its photos.")]


@app.command(epilog=EXAMPLES)
def quantize(
    model: Annotated[str, typer.Argument(help="A float ONNX file, a checkpoint, or a name that `detrt models` lists.")],
    calib: Calib,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="MODEL.int8.onnx (or .fp8) here by default."),
    ] = None,
    precision: PrecisionOption = "int8",
    recipe: RecipeOption = "safe",
    target_drop: Annotated[
        float | None,
        typer.Option(metavar="AP", min=0.0, help="Quantise the most that keeps this loss, on other photos too."),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(metavar="MIN", min=0.0, help="Minutes after which the search tries no more.")
    ] = None,
    rest: Annotated[
        Literal["fp32", "fp16"], typer.Option(help="Type of what is not quantised. FP32 leaves it to `detrt build`.")
    ] = "fp32",
    calibrate_in: Annotated[
        Literal["onnx", "torch"],
        typer.Option(
            help="torch: ranges from ModelOpt's quantisers in PyTorch, for a checkpoint and without a search."
        ),
    ] = "onnx",
    annotations: Annotations = None,
    images: Images = None,
    photos: Photos = 256,
    seed: Seed = 0,
    contract: options.Contract = None,
) -> None:
    """Quantise a model to INT8 or FP8, and measure on the result what it costs."""
    from detrt.evaluate import coco_dataset
    from detrt.models.registry import resolve_model
    from detrt.quantize.recipe import load_recipe
    from detrt.quantize.run import quantize as run
    from detrt.quantize.workbench import open_workbench

    if (annotations is None) != (images is None):
        raise UsageError("--annotations and --images go together.", "Give both, or neither.")
    given = Path(model) if Path(model).is_dir() else resolve_model(model)
    if calibrate_in == "torch" and given.suffix == ".onnx":
        raise UsageError(f"{given} is no checkpoint to run in PyTorch.", "Leave out --calibrate-in torch.")
    source = runnable(given, purpose="Quantising a checkpoint")
    chosen = load_recipe(recipe)
    labelled = coco_dataset(annotations, images) if annotations and images else None
    bench = open_workbench(
        source,
        calib,
        limit=photos,
        seed=seed,
        overrides=options.contract_overrides(contract),
        skipped=tell_skipped,
    )
    target = output or Path(Path(model).stem + f".{precision}.onnx")
    try:
        with progress_bars() as progress:
            report = run(
                bench,
                target,
                precision=precision,
                recipe=chosen,
                target_drop=target_drop,
                budget=60 * budget if budget is not None else float("inf"),
                rest=rest,
                labelled=labelled,
                checkpoint=given if calibrate_in == "torch" else None,
                progress=progress,
            )
    except KeyboardInterrupt:
        err.print(f"What was measured is kept in {bench.cache}; the same command goes on from there.")
        raise
    _print(report)


def tell_skipped(error: ImageError) -> None:
    """Name a photo that is left out."""
    err.print(f"[yellow]Skipped:[/] {escape(str(error))}")


def _print(report: Report) -> None:
    judged = report.judged
    out.print(f"{report.output}: {report.precision.upper()}, {report.macs_share:.1%} of the MACs of Conv and MatMul")
    if judged.ap is not None and judged.float_ap is not None:
        out.print(f"AP {judged.ap:.2f}, the float model's {judged.float_ap:.2f}: {judged.ap - judged.float_ap:+.2f}")
    elif report.drop_bound is not None:
        out.print(f"It may have lost up to {report.drop_bound:.1f} AP; --annotations and --images tell what it has")
    loss = judged.loss
    out.print(
        f"Agreement with the float model on calibration photos: {100 - loss.points:.1f} ± {loss.error or 0:.1f} "
        f"(mean squared change of a detection {loss.change:.2g})"
    )
    if report.left_out:
        out.print(_left_out(report))
    if isinstance(report.engine, str):
        err.print(escape(report.engine))
    else:
        out.print(
            f"Engine: {report.engine.milliseconds:.3f} ms, FP16 {report.engine.fp16_milliseconds:.3f} ms "
            f"({report.engine.time_ratio:.2f} of it)"
            + (f"; AP of the engine {report.engine.ap:.2f}" if report.engine.ap is not None else "")
        )
        if not report.engine.is_faster:
            err.print("[yellow]The quantised engine is not faster than FP16 on this GPU: use FP16.[/]")
    if report.target_drop is not None:
        _tell_target(report)
    out.print(f"[dim]{report.seconds:.0f} s; calibrated on {report.photos}[/]")


def _left_out(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, title="Left float", title_justify="left")
    for name, right in (("product", False), ("part", False), ("MACs", True), ("why", False)):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    shown = report.left_out[:12]
    for name, group, share, why in shown:
        table.add_row(escape(name), group, f"{share:.1%}", why)
    if rest := report.left_out[len(shown) :]:
        share = sum(row[2] for row in rest)
        table.add_row(f"and {len(rest)} more", "", f"{share:.1%}", f"see {Path(report.output).with_suffix('.json')}")
    return table


def _tell_target(report: Report) -> None:
    drop = report.judged.ap_drop
    if drop is not None and report.target_drop is not None and drop > report.target_drop:
        err.print(
            f"[yellow]The AP fell by {drop:.2f}, more than the {report.target_drop:g} aimed at:[/] calibration photos "
            "said less. Give a smaller --target-drop."
        )
    if not report.complete:
        err.print("The budget ended the search before everything left out had been tried again; more may fit.")
