"""`detrt export`: a checkpoint in, an ONNX model out that finds what PyTorch finds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from detrt.cli.app import app
from detrt.cli.console import err, out, progress_bars
from detrt.errors import UsageError

EXAMPLES = """
[bold]Examples[/]

  detrt export rtdetrv2_r18vd_120e_coco.pth -o r18.onnx\n
  detrt export PekingU/rtdetr_v2_r50vd/ -o r50.onnx --batch dynamic\n
  detrt export r18.pth -o wide.onnx --size 480x640 --output raw\n
  detrt export r18.pth -o r18.onnx --sampler gather --photo street.jpg\n
  detrt export r18.pth -o r18_plugin.onnx --plugin deformable-attention\n
"""


@app.command(epilog=EXAMPLES)
def export(
    checkpoint: Annotated[
        str, typer.Argument(help="An official .pth, a Hugging Face folder, or a name that `detrt models` lists.")
    ],
    output_file: Annotated[Path, typer.Option("-o", metavar="FILE", help="The ONNX model to write.")],
    batch: Annotated[str, typer.Option(metavar="N|dynamic", help="Images a run.")] = "1",
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Input size, multiples of 32; else that of the training.")
    ] = None,
    output: Annotated[
        Literal["detections", "raw"],
        typer.Option(help="Labels, boxes in pixels and scores; or logits and relative boxes as the network has them."),
    ] = "detections",
    sampler: Annotated[
        Literal["grid-sample", "gather"],
        typer.Option(help="How features are sampled: gather is for a TensorRT that miscompiles GridSample."),
    ] = "grid-sample",
    plugin: Annotated[
        Literal["deformable-attention"] | None,
        typer.Option(help="One node for each layer's sampling, which a plugin can run, and any runtime without."),
    ] = None,
    opset: Annotated[int, typer.Option(help="17 or 18.")] = 17,
    variant: Annotated[
        str | None, typer.Option(help="r18vd, r34vd, r50vd_m, r50vd, r101vd, each also with _dsp; else found out.")
    ] = None,
    photo: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Photo to compare with PyTorch on; else a drawn picture.")
    ] = None,
) -> None:
    """Export a checkpoint to ONNX, and check that the file finds what PyTorch finds."""
    from detrt.extras import require
    from detrt.files import refuse_output

    require("torch", extra="torch", purpose="Exporting a model")
    from detrt.graph.export import ExportOptions
    from detrt.graph.export_file import export_checkpoint
    from detrt.images import read_photo
    from detrt.models.registry import resolve_model

    if plugin and sampler != "grid-sample":
        raise UsageError(f"--plugin {plugin} and --sampler {sampler} both say how to sample.", "Leave one of them out.")
    source = Path(checkpoint) if Path(checkpoint).is_dir() else resolve_model(checkpoint)
    refuse_output(output_file, inputs=[source, photo], suffixes=[".onnx"])
    options = ExportOptions(_batch(batch), output, "plugin" if plugin else sampler, opset)
    pixels = read_photo(photo) if photo else None
    with progress_bars() as progress:
        result = export_checkpoint(
            source, output_file, options, variant=variant, size=_size(size), photo=pixels, progress=progress
        )
    contract, agreement = result.contract, result.agreement
    out.print(
        f"[bold]{escape(str(result.path))}[/]: {contract.variant}, {contract.input_size[0]}x{contract.input_size[1]}, "
        f"batch {batch}, {contract.output_form}, {result.nodes} nodes"
    )
    err.print(
        f"{agreement.matched} of {agreement.total} detections as in PyTorch on "
        f"{escape(str(photo)) if photo else 'a drawn picture'}: scores within {agreement.score_error:.1e}, "
        f"boxes within {agreement.box_error:.1e} pixels."
    )


def _batch(text: str) -> int | None:
    if text == "dynamic":
        return None
    if not text.isdecimal():
        raise UsageError(f"--batch {text} is neither a number nor 'dynamic'.", "Say --batch 1 or --batch dynamic.")
    return int(text)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and (width or height).isdecimal()):
        raise UsageError(f"--size {text} is no size.", "Say --size 640x640, height first.")
    return int(height), int(width or height)
