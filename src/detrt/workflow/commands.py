"""The commands that repeat the steps of a workflow by hand."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator
from pathlib import Path

from detrt.report.findings import Command
from detrt.workflow.artefact import MODEL, PHOTOS, REFERENCE, engine_artefacts, onnx_artefacts, onnx_file
from detrt.workflow.making import build_options, is_calibrated
from detrt.workflow.options import FILE, WorkflowOptions


def commands_of(options: WorkflowOptions, folder: Path, done: Collection[str]) -> tuple[Command, ...]:
    """What to type for everything, and for each step that is done."""
    return tuple(_commands(options, folder, done))


def _commands(options: WorkflowOptions, folder: Path, done: Collection[str]) -> Iterator[Command]:
    yield _command("Everything; steps that are finished are kept", "workflow", "--config", folder / FILE, "-o", folder)
    if not options.model.endswith(".onnx"):
        yield _command("Export", "export", options.model, "-o", folder / MODEL, "--batch", "dynamic")
    for precision in options.narrow:
        if f"quantize {precision}" in done:
            calib = [word for source in options.calib for word in ("--calib", source)]
            budget = [] if options.budget is None else ["--budget", f"{options.budget:g}"]
            words = ("--precision", precision, "--recipe", options.recipe, "--target-drop", f"{options.target_drop:g}")
            photos = ("--photos", options.photos)
            target = ("-o", folder / onnx_file(precision))
            yield _command(
                f"Quantise to {precision.upper()}",
                "quantize",
                folder / MODEL,
                *calib,
                *words,
                *photos,
                *budget,
                *target,
            )
    photos_folder = (folder / PHOTOS).parent
    for made in engine_artefacts(options):
        if f"build {made.name}" in done:
            arithmetic = build_options(made.precision).precision
            calibrated = ("--calib", photos_folder) if is_calibrated(made.precision) else ()
            yield _command(
                f"Build the {made.precision.upper()} engine",
                *("build", folder / onnx_file(made.precision), "-o", folder / made.file, "--precision", arithmetic),
                *calibrated,
            )
    models = [made for made in (*onnx_artefacts(options), *engine_artefacts(options)) if f"score {made.name}" in done]
    labelled = ("--annotations", options.annotations, "--images", options.images)
    limit = () if options.limit is None else ("--limit", options.limit)
    for made in models:
        yield _command(f"Score the {made.name}", "eval", folder / made.file, *labelled, *limit)
    timed = [made for made in models if made.form == ("engine" if "time engines" in done else "onnx")]
    if timed and ("time engines" in done or "time ONNX" in done):
        files = [folder / made.file for made in timed]
        how = ("--protocol", "engine,infer,e2e", "--photos", options.images, "--seconds", f"{options.seconds:g}")
        yield _command("Time them in turns", "bench", *files, *how)
    for made in models:
        if made != REFERENCE and f"compare {made.name}" in done:
            layers = ("--layers",) if made.form == "onnx" else ()
            yield _command(
                f"Compare the {made.name} with the float model",
                *("compare", folder / MODEL, folder / made.file, "--images", options.images, *limit, *layers),
            )
    for made in engine_artefacts(options):
        if f"profile {made.name}" in done:
            page = folder / f"{made.profile}.html"
            yield _command(f"Look inside the {made.name}", "profile", folder / made.file, "--html", page)


def _command(about: str, *words: object) -> Command:
    return Command(about, shlex.join(["detrt", *map(str, words)]))
