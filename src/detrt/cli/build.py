"""`detrt build`: an ONNX model in, a TensorRT engine and its manifest out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.logging import RichHandler
from rich.markup import escape

from detrt.cli import options
from detrt.cli.app import app
from detrt.cli.console import err, out, progress_bars

EXAMPLES = """
[bold]Examples[/]

  detrt build model.onnx --calib photos/\n
  detrt build model.onnx -o model_fp32.engine --precision fp32\n
  detrt build model.onnx --batch 1:8:32 --calib photos/\n
  detrt build model.onnx --flavour tensorrt_rtx --target 8.9 --target 12.0\n
"""


@app.command(epilog=EXAMPLES)
def build(
    model: options.Model,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The engine; model.engine by default.")
    ] = None,
    precision: Annotated[str, typer.Option(help="fp32, tf32, fp16 or bf16.")] = "fp16",
    calib: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Photos that show what must stay FP32 in fp16 and bf16.")
    ] = None,
    batch: Annotated[str, typer.Option(help="Photos a run: N, MIN:MAX, or MIN:USUAL:MAX.")] = "1",
    size: Annotated[str | None, typer.Option(metavar="HxW", help="Input size, where the model leaves it open.")] = None,
    flavour: Annotated[str | None, typer.Option(help="tensorrt or tensorrt_rtx; else whichever is here.")] = None,
    level: Annotated[int | None, typer.Option(min=0, max=5, help="Builder optimisation level.")] = None,
    workspace: Annotated[int | None, typer.Option(metavar="MIB", min=1, help="Most scratch memory of a layer.")] = None,
    target: Annotated[
        list[str] | None, typer.Option(metavar="CC", help="Compute capability to build for (TensorRT-RTX). Repeatable.")
    ] = None,
    hardware: Annotated[str, typer.Option(help="Other GPUs to run on (TensorRT): ampere+, same-capability.")] = "none",
    version_compatible: Annotated[
        bool, typer.Option("--version-compatible", help="Let later versions run it (TensorRT).")
    ] = False,
    refit: Annotated[bool, typer.Option("--refit", help="Keep the weights exchangeable.")] = False,
    plugin: Annotated[
        list[Path] | None, typer.Option(metavar="LIB", help="Plugin library (TensorRT). Repeatable.")
    ] = None,
    timing_cache: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep what the builder measures (TensorRT).")
    ] = None,
    as_exported: Annotated[
        bool, typer.Option("--as-exported", help="Build the graph as it is, without the rewrites that make it faster.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Build even if the engine is up to date.")] = False,
    verbose: Annotated[int, typer.Option("-v", count=True, help="Show what TensorRT says; -vv all of it.")] = 0,
) -> None:
    """Build a TensorRT engine; a second run with the same input finds that it is up to date."""
    from detrt.engine.builder import build_engine
    from detrt.engine.options import Batch, BuildOptions, batch_from_text, size_from_text
    from detrt.models.registry import resolve_model

    _listen(verbose)
    source = resolve_model(model)
    chosen = BuildOptions(
        precision=precision,  # type: ignore[arg-type]  # checked by BuildOptions
        flavour=flavour,  # type: ignore[arg-type]
        batch=batch_from_text(batch),
        size=size_from_text(size) if size else None,
        level=level,
        workspace=workspace << 20 if workspace else None,
        targets=tuple(target or ()),
        hardware=hardware,  # type: ignore[arg-type]
        version_compatible=version_compatible,
        refit=refit,
        calibration=calib,
        plugins=tuple(plugin or ()),
        timing_cache=timing_cache,
        as_exported=as_exported,
    )
    with progress_bars() as progress:
        result = build_engine(source, output or source.with_suffix(".engine"), chosen, force=force, progress=progress)
    manifest, name = result.manifest, escape(str(result.engine))
    if result.was_up_to_date:
        out.print(f"{name} is up to date.")
        return
    out.print(
        f"{name}: {manifest.engine_bytes / 1e6:.1f} MB in {result.seconds:.1f} s; "
        f"needs {escape(manifest.needs)}, batch {Batch(*manifest.batch)}."
    )
    err.print(manifest.precision_note)
    if manifest.rewrites:
        err.print(f"Rewritten to run faster: {', '.join(manifest.rewrites)} (--as-exported leaves the graph alone)")


def _listen(verbose: int) -> None:
    """Let TensorRT's own messages through: warnings, information, everything."""
    logger = logging.getLogger("detrt")
    logger.addHandler(RichHandler(console=err, show_path=False, show_time=False))
    logger.setLevel((logging.ERROR, logging.INFO, logging.DEBUG)[min(verbose, 2)])
