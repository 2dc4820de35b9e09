"""`detrt graph`: single passes over an ONNX file, by name."""

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

  detrt graph fuse-offsets model_int8.onnx -o fused.onnx\n
  detrt graph fuse-offsets model_int8.onnx --for-plugin -o for_tensorrt.onnx
"""

graph = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(graph, name="graph", help="Rewrite a graph, one pass at a time.", epilog=EXAMPLES)


@graph.callback()
def _passes() -> None:
    """Keep the pass's name a word of its own while there is only one."""


@graph.command("fuse-offsets", epilog=EXAMPLES)
def fuse_offsets(
    model: options.Model,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The ONNX file to write.")],
    for_plugin: Annotated[
        bool, typer.Option("--for-plugin", help="For trtexec: leave the definition out and name the plugin's place.")
    ] = False,
) -> None:
    """Make one node of the INT8 sampling offsets and attention weights of each decoder layer."""
    from detrt.errors import GraphError
    from detrt.files import refuse_output
    from detrt.graph import fuse_offsets as room
    from detrt.graph.multi_head_offsets import DOMAIN, NAME
    from detrt.graph.onnx_file import load, save
    from detrt.graph.plugin_nodes import for_plugins
    from detrt.models.registry import resolve_model

    file = resolve_model(model)
    refuse_output(output, inputs=[file], suffixes=[".onnx"])
    fused, changed = room.fuse_offsets(load(file))
    if not changed:
        raise GraphError(
            f"{model} has no pair of INT8 linears that give sampling offsets and attention weights.",
            "Quantise both of them first (detrt quantize), in each decoder layer or in some.",
        )
    save(for_plugins(fused).model if for_plugin else fused, output)
    count = sum((node.domain, node.op_type) == (DOMAIN, NAME) for node in fused.graph.node)
    out.print(f"{count} {DOMAIN}::{NAME}, {len(fused.graph.node)} nodes in all; wrote {escape(str(output))}")
