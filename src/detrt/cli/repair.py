"""`detrt repair`: the fewest marks, or layers left unquantised, that put an engine right."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.markup import escape

from detrt.cli import options
from detrt.cli.app import app
from detrt.cli.console import err, out, progress_bars
from detrt.errors import UsageError

if TYPE_CHECKING:
    from detrt.compare.judges import Build
    from detrt.compare.repair import Judge, Repair

EXAMPLES = """
[bold]Examples[/]

  detrt repair model_int8.onnx --images photos/ -o repaired.onnx\n
  detrt repair model_int8.onnx --images photos/ --by unquantising --precision fp32\n
  detrt repair model_int8.onnx --annotations instances.json --images val2017 --limit 500 --goal 47
"""

GOAL = 0.95


@app.command(epilog=EXAMPLES)
def repair(
    model: options.Model,
    images: Annotated[list[str], typer.Option(metavar="DIR", help="Photos to judge by. May be repeated.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="The repaired ONNX.")] = None,
    by: Annotated[
        str, typer.Option(help="What to do: marking tensors as outputs, or unquantising layers.")
    ] = "marking",
    candidate: Annotated[str, typer.Option(help="What to put right: tensorrt or onnxruntime.")] = "tensorrt",
    precision: Annotated[str, typer.Option(help="Of the engines: fp32, tf32, fp16 or bf16.")] = "fp16",
    reference: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is right; MODEL in ONNX Runtime.")
    ] = None,
    annotations: Annotated[Path | None, typer.Option(metavar="JSON", help="Judge by COCO AP.")] = None,
    goal: Annotated[
        float | None, typer.Option(help=f"The score to reach: closeness to the reference ({GOAL}), or AP.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Photos to judge by.")] = 32,
    budget: Annotated[int, typer.Option(min=1, help="Most candidates to build.")] = 60,
    device: options.Device = "auto",
    contract: options.Contract = None,
) -> None:
    """Find the smallest change to a graph that brings its engine back to the reference; a second run goes on."""
    from detrt.compare import repair as room
    from detrt.compare.culprits import known_culprits, markable
    from detrt.files import refuse_output
    from detrt.graph.mark import Mark
    from detrt.graph.onnx_file import load, save
    from detrt.graph.unquantize import Unquantize, quantized_products
    from detrt.models.registry import resolve_model
    from detrt.settings import cache_dir

    if by not in ("marking", "unquantising"):
        raise UsageError(f"--by {by} is neither marking nor unquantising.", "Use one of these two.")
    if annotations and goal is None:
        raise UsageError("By AP, what is good enough is not known.", "Give the AP to reach: --goal AP.")
    source = resolve_model(model)
    refuse_output(output, inputs=[source, reference], suffixes=[".onnx"])
    proto = load(source)
    change = Mark if by == "marking" else Unquantize
    candidates = markable(proto) if by == "marking" else quantized_products(proto)
    if not candidates:
        raise UsageError(f"{source.name} has no quantised layer.", "Use --by marking.")
    with tempfile.TemporaryDirectory() as folder, progress_bars() as progress:
        build = _builder(candidate, precision, Path(folder), device)
        photos = _Photos(images, annotations, limit)
        overrides = options.contract_overrides(contract)
        judge = _judge(reference or source, photos, build, device, overrides)
        found = room.repair(
            proto,
            judge,
            change,
            goal=GOAL if goal is None else goal,
            known=known_culprits(proto) if by == "marking" else (),
            candidates=candidates,
            budget=budget,
            journal=cache_dir() / "repair" / room.journal_name(proto, judge, by),
            progress=progress,
        )
    _print(found, by)
    if output and found.solved:
        save(change(found.best.items)(proto).model if found.best.items else proto, output)
        out.print(f"Wrote {escape(str(output))}")


def _builder(candidate: str, precision: str, folder: Path, device: str) -> Build:
    from detrt.compare.judges import EngineBuilder, OnnxRuntimeBuilder
    from detrt.engine.options import BuildOptions

    if candidate == "onnxruntime":
        return OnnxRuntimeBuilder(device)
    if candidate != "tensorrt":
        raise UsageError(f"--candidate {candidate} is neither tensorrt nor onnxruntime.", "Use one of these two.")
    return EngineBuilder(folder, BuildOptions(precision=precision), device)  # type: ignore[arg-type]  # it checks


class _Photos(NamedTuple):
    """What is judged by."""

    images: list[str]
    annotations: Path | None
    limit: int


def _judge(reference: Path, photos: _Photos, build: Build, device: str, overrides: dict[str, Any]) -> Judge:
    from detrt.compare.judges import AgreementJudge, ApJudge
    from detrt.compare.opening import open_detector
    from detrt.evaluate import coco_dataset
    from detrt.graph.onnx_file import sha256_of_model
    from detrt.images.sources import find_files

    if photos.annotations:
        if len(photos.images) != 1:
            raise UsageError("Annotations belong to one folder of photos.", "Give --images once.")
        dataset = coco_dataset(photos.annotations, Path(photos.images[0]), limit=photos.limit)
        return ApJudge(dataset, build, overrides=overrides)
    with open_detector(reference, device=device, overrides=overrides) as detector:
        chosen = find_files(photos.images)[: photos.limit]
        return AgreementJudge(detector, chosen, build, model_hash=sha256_of_model(reference))


def _print(found: Repair, by: str) -> None:
    failed = [trial for trial in found.trials if trial.error]
    err.print(f"{len(found.trials)} candidates judged, {len(failed)} of them could not be built, run or scored")
    if failed:
        err.print(f"  {escape(failed[0].error)}")
    if any(trial.score < 0 and not trial.error for trial in found.trials):
        err.print("A score below 0 is the share of photos with NaN or infinity.")
    if found.solved and not found.best.items:
        out.print(f"[green]Nothing to repair[/]: {found.start:.3f}, and the goal is {found.goal:g}.")
        return
    what = "Mark" if by == "marking" else "Leave unquantised"
    if found.solved:
        out.print(f"[green]Repaired[/]: {found.start:.3f} -> {found.best.score:.3f}, the goal is {found.goal:g}.")
    else:
        out.print(f"[red]Not repaired[/]: {found.start:.3f}; the best was {found.best.score:.3f}, not {found.goal:g}.")
    if found.culprit:
        out.print(f"Found among {found.culprit}.")
    if found.best.items:
        out.print(f"{what}{'' if found.minimal else ' (the budget ended before this was known to be the least)'}:")
    for item in found.best.items:
        out.print(f"  {escape(item)}")
