"""`detrt mark`: inner tensors as outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from detrt.cli import options
from detrt.cli.app import app
from detrt.cli.console import out

EXAMPLES = """
[bold]Examples[/]

  detrt mark model.onnx --outputs '*/cross_attn/sampling_offsets/Add' -o marked.onnx\n
  detrt mark model.onnx --outputs /model/decoder/Concat_3_output_0 --outputs 'feat_*' -o marked.onnx
"""


@app.command(epilog=EXAMPLES)
def mark(
    model: options.Model,
    outputs: Annotated[
        list[str], typer.Option(metavar="NAME|PATTERN", help="Tensor or node, or a shell pattern. May be repeated.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The ONNX file to write.")],
) -> None:
    """Make inner tensors outputs, behind the model's own, to look at them or to break a bad fusion."""
    from detrt.files import refuse_output
    from detrt.graph.mark import Mark
    from detrt.graph.onnx_file import load, output_specs, save
    from detrt.models.registry import resolve_model

    file = resolve_model(model)
    refuse_output(output, inputs=[file], suffixes=[".onnx"])
    source = load(file)
    marked, changed = Mark(outputs)(source)
    save(marked, output)
    for spec in output_specs(marked)[len(source.graph.output) :]:
        out.print(f"marked {escape(str(spec))}")
    out.print(f"Wrote {escape(str(output))}" + ("" if changed else "; all of these were outputs already."))
