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
from detrt.files import name_of

if TYPE_CHECKING:
    from detrt.contract import ModelContract
    from detrt.graph.summary import ModelSummary, Serving

EXAMPLES = """
[bold]Examples[/]

  detrt inspect model.onnx\n
  detrt inspect deimv2-femto\n
  detrt inspect model.engine\n
  detrt inspect model.onnx --json | jq .macs.total
"""
FREQUENT = 12  # operators that the table names one by one


@app.command(epilog=EXAMPLES)
def inspect(
    model: options.Model,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what a model expects and returns, what it holds (opset, operators, parameters) and what it costs (MACs)."""
    from detrt.models.registry import resolve_model

    path = resolve_model(model)
    facts, serving, report = _engine(path) if path.suffix == ".engine" else _onnx(path)
    if json:
        import orjson

        report = {"file": name_of(path), "bytes": path.stat().st_size} | report | {"serving": asdict(serving)}
        print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
        return
    out.print(f"[bold]{escape(str(path))}[/]  {path.stat().st_size / 1e6:.1f} MB\n")
    out.print(_table({name: escape(value) for name, value in facts.items()}))
    out.print()
    if serving.contract is None:
        out.print(f"[bold red]Not servable:[/] {escape(serving.unservable)}")
        return
    read = "read from the file" if serving.origin == "file" else "inferred from the signature"
    out.print(
        f"[bold]Contract[/], {read}{'; [yellow]?[/] marks what is assumed' if serving.contract.assumed else ''}\n"
    )
    out.print(_table(_contract(serving.contract)))


def _onnx(path: Path) -> tuple[dict[str, str], Serving, dict[str, Any]]:
    """What an ONNX file holds: for people, for serving, for programs."""
    from detrt.errors import ModelError
    from detrt.graph.onnx_file import load
    from detrt.graph.summary import summarise
    from detrt.models.registry import CHECKPOINTS

    if path.suffix not in (".onnx", *CHECKPOINTS):
        raise ModelError(f"{path.name} is no model that can be looked into.", "Give an ONNX file or an engine.")
    summary = summarise(load(path))
    return _facts(summary), summary.serving, asdict(summary)


def _engine(path: Path) -> tuple[dict[str, str], Serving, dict[str, Any]]:
    """What an engine is, by the manifest beside it; it is not loaded, so it may be another machine's."""
    from detrt.engine.manifest import manifest_of
    from detrt.graph.summary import serving_of

    manifest = manifest_of(path)
    least, usual, most = manifest.batch
    facts = {
        "needs": manifest.needs,
        "precision": f"{manifest.precision} {manifest.precision_note}".strip(),
        "batch": f"{least} to {most}, best at {usual}" if most > least else str(most),
        "inputs": "\n".join(map(str, manifest.inputs)),
        "outputs": "\n".join(map(str, manifest.outputs)),
        "layers": ", ".join(f"{count:,} in the {what}" for what, count in manifest.layers.items()),
        "plugins": ", ".join(library.path for library in manifest.plugins) or "none",
        "built from": f"{manifest.onnx} (SHA-256 {manifest.onnx_sha256[:16]}...), by detrt {manifest.detrt}",
        "again": manifest.rebuild_command(path),
    }
    return facts, serving_of(manifest.metadata, manifest.inputs, manifest.outputs), asdict(manifest)


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
    """The contract's fields for people; what was assumed carries a mark."""
    shown: dict[str, Any] = {field.name: getattr(contract, field.name) for field in fields(contract)}
    names = contract.class_names
    shown |= {
        "input_size": "x".join(map(str, contract.input_size)) + " (height x width)",
        "outputs": ", ".join(f"{role} = {contract.output(role)}" for role in contract.outputs or ()),
        "resize": ", ".join(f"{key} {value}" for key, value in vars(contract.resize).items()),
        "scale": f"{contract.scale:.6g}",
        "class_names": f"{len(names)}: {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}" if names else "none",
    }
    del shown["assumed"]
    return {
        name: escape(str(value)) + (" [yellow]?[/]" if name in contract.assumed else "")
        for name, value in shown.items()
        if value not in ("", None)
    }


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
