"""`detrt inspect`: what a model file holds, what it costs, and whether it can be served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from detrt.cli import options
from detrt.cli.app import app
from detrt.cli.console import out

if TYPE_CHECKING:
    from detrt.contract import ModelContract
    from detrt.graph.summary import ModelSummary

EXAMPLES = """
[bold]Examples[/]

  detrt inspect model.onnx\n
  detrt inspect deimv2-femto\n
  detrt inspect model.onnx --json | jq .macs.total
"""
FREQUENT = 12  # operators that the table names one by one


@app.command(epilog=EXAMPLES)
def inspect(
    model: options.Model,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a model's contract, inputs and outputs, opset, operators, parameters and MACs."""
    from detrt.graph.onnx_file import load
    from detrt.graph.summary import summarise
    from detrt.models.registry import resolve_model

    path = resolve_model(model)
    _only_onnx(path)
    summary = summarise(load(path))
    if json:
        import orjson

        report = {"file": str(path), "bytes": path.stat().st_size} | asdict(summary)
        print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
        return
    out.print(f"[bold]{escape(str(path))}[/]  {path.stat().st_size / 1e6:.1f} MB\n")
    out.print(_table(_facts(summary)))
    out.print()
    if summary.contract is None:
        out.print(f"[bold red]Not servable:[/] {escape(summary.unservable)}")
        return
    read = "read from the file" if summary.origin == "file" else "inferred from the signature"
    out.print(
        f"[bold]Contract[/], {read}{'; [yellow]?[/] marks what is assumed' if summary.contract.assumed else ''}\n"
    )
    out.print(_table(_contract(summary.contract)))


def _only_onnx(path: Path) -> None:
    """Say how to look into what is not ONNX."""
    from detrt.errors import ModelError

    if path.suffix in (".pth", ".pt", ".safetensors"):
        raise ModelError(
            f"{path.name} is a checkpoint: weights without a graph.",
            f"Make an ONNX of it and inspect that: detrt export {path}",
        )
    if path.suffix != ".onnx":
        raise ModelError(f"{path.name} is not a model that can be looked into.", "Give an ONNX file.")


def _facts(summary: ModelSummary) -> dict[str, str]:
    domains = (f"{domain or 'ai.onnx'} {version}" for domain, version in summary.opsets.items())
    facts = {
        "opset": f"{', '.join(domains)} (IR {summary.ir_version}), by {summary.producer or 'an unknown producer'}",
        "inputs": "\n".join(map(str, summary.inputs)),
        "outputs": "\n".join(map(str, summary.outputs)),
        "nodes": f"{summary.nodes:,}: {_counts(summary.ops)}",
        "parameters": f"{summary.parameters:,} ({_counts(summary.weights)})",
        "MACs": f"{summary.macs.total / 1e9:.3f} G an image ({2 * summary.macs.total / 1e9:.2f} GFLOPs)",
    }
    if summary.macs.uncounted:
        facts["MACs"] += f", without {_counts(summary.macs.uncounted)}, whose shapes are not known"
    if quantization := summary.quantization:
        covered = ", ".join(f"{kind} {some} of {every}" for kind, (some, every) in quantization.covered.items())
        facts["quantised"] = f"{quantization.nodes:,} Q/DQ nodes ({_counts(quantization.types)}); {covered}"
    return facts


def _contract(contract: ModelContract) -> dict[str, str]:
    shown: dict[str, Any] = {field.name: getattr(contract, field.name) for field in fields(contract)}
    shown["input_size"] = "x".join(map(str, contract.input_size)) + " (height x width)"
    shown["outputs"] = ", ".join(f"{role} = {contract.output(role)}" for role in contract.outputs or ())
    shown["resize"] = ", ".join(f"{key} {value}" for key, value in vars(contract.resize).items())
    shown["class_names"] = f"{len(contract.class_names)}: {', '.join(contract.class_names[:5])} ..."
    if not contract.class_names:
        shown["class_names"] = "none"
    del shown["assumed"]
    marked = {name: f"{value} [yellow]?[/]" for name, value in shown.items() if name in contract.assumed}
    return {name: marked.get(name, escape(str(value))) for name, value in shown.items()}


def _table(rows: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _counts(counts: Mapping[str, int]) -> str:
    first = [f"{name} {count:,}" for name, count in list(counts.items())[:FREQUENT]]
    rest = len(counts) - len(first)
    return ", ".join(first) + (f" and {rest} more kinds" if rest else "")
