"""Profile engines on a GPU machine, in one call: layers and times of the live engine, page, picture, trace.

    python tools/gpu_profile.py MODEL.onnx [...] --precision fp16 --out $OUT

An ONNX file is built first; an .engine is taken as it is. Leaves NAME.html, NAME.svg, NAME.trace.json and the raw JSON
(NAME/) in --out, and prints the tables, so that the end of a log says it all. With --debug PATTERN it also builds the
engine with these tensors as debug tensors, and says what listening to them shows and changes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from detrt.compare.engine_tensors import engine_tensors
from detrt.engine.builder import build_engine
from detrt.engine.options import BuildOptions
from detrt.errors import DetrtError, EngineError
from detrt.graph.mark import tensors_named
from detrt.graph.onnx_file import load
from detrt.graph.precision import Precision
from detrt.profile.labels import label_of
from detrt.profile.live import profile_engine
from detrt.profile.page import page_of
from detrt.profile.picture import svg_of
from detrt.profile.profile import EngineProfile
from detrt.runtime.base import Array


def main() -> None:
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    for model in asked.models:
        try:
            _profile(model, asked)
        except DetrtError as error:  # noqa: PERF203 (the others may still tell something)
            print(f"FAILED {model.name}: {error}", flush=True)


def _profile(model: Path, asked: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = model
        if model.suffix == ".onnx":
            engine = Path(folder) / f"{model.stem}_{asked.precision}.engine"
            build_engine(model, engine, BuildOptions(precision=asked.precision, calibration=asked.calib))
        found = profile_engine(engine, runs=asked.runs, save=asked.out / engine.stem)
        (asked.out / f"{engine.stem}.html").write_text(page_of(found), encoding="utf-8")
        (asked.out / f"{engine.stem}.svg").write_text(svg_of(found), encoding="utf-8")
        _print(found)
        if asked.debug and model.suffix == ".onnx":
            _listen(model, asked, Path(folder))


def _print(found: EngineProfile) -> None:
    assert found.latency is not None
    copies = found.reformats
    print(
        f"\n{found.name} on {found.device}: latency {found.latency.median:.4f} ms median "
        f"({found.latency.least:.4f} to {found.latency.most:.4f}); {len(found.layers)} layers, "
        f"{copies.layers} reformats, sum {found.total / 1e3:.3f} ms, "
        f"{found.total / 1e3 / found.latency.median:.2f} times the latency"
    )
    timed = sum(time > 0 for time in found.mean)
    print(f"layers with a time: {timed}; kinds: " + ", ".join(f"{each.name} {each.layers}" for each in found.by_kind))
    print("parts: " + ", ".join(f"{share.name} {share.percent:.1f} %" for share in found.by_group))
    print(
        "precision: "
        + ", ".join(f"{share.name} {share.percent:.1f} % ({share.layers})" for share in found.by_precision)
    )
    for number in found.top(10):
        layer = found.layers[number]
        print(
            f"  {found.mean[number]:7.1f} us  {found.groups[number]:17} {layer.precision:5} {label_of(layer, most=60)}"
        )
    for layer in found.layers[:3]:
        print(
            f"  raw: {layer.kind} | {layer.name[:80]} | {len(layer.sources)} ONNX nodes | {layer.tactic[:60]}",
            flush=True,
        )


def _listen(model: Path, asked: argparse.Namespace, folder: Path) -> None:
    """Look at the debug tensors that are asked for, or at the unfused ones where the engine is silent about these."""
    graph = load(model)
    names = tuple(tensors_named(graph, asked.debug))
    try:
        _tell("those asked for", _shown(model, graph, names, names, asked.precision, folder))
    except EngineError as error:
        print(f"\ndebug tensors of {model.name}: {len(names)} asked for; {error.problem}")
        every = tuple(name for node in graph.graph.node for name in node.output)
        _tell(
            "the unfused ones with a name in the ONNX", _shown(model, graph, "unfused", every, asked.precision, folder)
        )


def _shown(
    model: Path,
    graph: onnx.ModelProto,
    marked: tuple[str, ...] | Literal["unfused"],
    names: tuple[str, ...],
    precision: Precision,
    folder: Path,
) -> dict[str, Array]:
    engine = folder / f"debug_{'unfused' if marked == 'unfused' else 'named'}.engine"
    built = build_engine(model, engine, BuildOptions(precision=precision, debug_tensors=marked))
    generator = np.random.default_rng(0)
    feeds = {
        spec.name: generator.random([axis or 1 for axis in spec.shape]).astype(spec.dtype)
        if "float" in spec.dtype
        else np.full([axis or 1 for axis in spec.shape], 640, spec.dtype)
        for spec in built.manifest.inputs
    }
    with engine_tensors(engine, names, model=graph) as source:
        return source.read(feeds, [*source.those_of(names), *(spec.name for spec in built.manifest.outputs)])


def _tell(which: str, shown: dict[str, Array]) -> None:
    print(f"\ndebug tensors, {which}: {len(shown)} shown, outputs included")
    for name, value in [*shown.items()][:12]:
        numbers = value.astype(np.float64)
        finite = "" if np.isfinite(numbers).all() else ", NOT FINITE"
        print(f"  {name} {value.dtype} {value.shape}: mean {numbers.mean():.4f}, std {numbers.std():.4f}{finite}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--precision", default="fp16")
    parser.add_argument("--calib", type=Path, help="photos for the precision pass")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--debug", nargs="*", default=[], metavar="PATTERN", help="tensors or nodes to listen to")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
