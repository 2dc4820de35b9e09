"""Say where a quantised detector goes wrong, in the graph or in its engine, in one call on a GPU machine.

    python tools/gpu_compare.py REFERENCE.onnx QUANTISED.onnx --photos DIR [--precision fp32] --out $OUT

Three comparisons, each of detections and then of tensors:
  graph    REFERENCE against QUANTISED, both in ONNX Runtime: what quantisation itself costs
  engine   QUANTISED in ONNX Runtime against its engine: what the builder makes of it
  both     REFERENCE against that engine
The engine of the tensors is built with debug tensors, or with marked outputs where TensorRT does not take these.
Without a GPU only the first is made.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from detrt.compare.culprits import markable
from detrt.compare.detectors import compare_detectors
from detrt.compare.engine_tensors import engine_tensors
from detrt.compare.files import compare_layers_of
from detrt.compare.layers import LayerComparison
from detrt.compare.report import write_json
from detrt.compare.tensors import OnnxTensors
from detrt.detector import Detector
from detrt.engine.builder import build_engine
from detrt.engine.manifest import manifest_of
from detrt.engine.options import BuildOptions
from detrt.errors import DetrtError, EngineError
from detrt.graph.mark import Mark
from detrt.graph.onnx_file import load, save
from detrt.images.sources import find_files
from detrt.runtime import cuda


def main() -> None:
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    photos = find_files([str(asked.photos)])[: asked.limit]
    with tempfile.TemporaryDirectory() as folder:
        pairs = [("graph", asked.reference, asked.quantised, asked.quantised)]
        if cuda.first_gpu() is not None:
            try:
                plain, shown = _engines(asked, Path(folder))
                pairs += [("engine", asked.quantised, plain, shown), ("both", asked.reference, plain, shown)]
            except DetrtError as error:
                print(f"NO ENGINE: {error}", flush=True)
        for name, first, second, shown in pairs:
            try:
                _compare(name, first, second, shown, photos, asked.out)
            except DetrtError as error:  # noqa: PERF203 (the others may still tell something)
                print(f"FAILED {name}: {error}", flush=True)


def _engines(asked: argparse.Namespace, folder: Path) -> tuple[Path, Path]:
    """The engine as anybody would build it, and one that shows its inside."""
    plain = build_engine(asked.quantised, folder / "plain.engine", BuildOptions(precision=asked.precision)).engine
    known = set(OnnxTensors(asked.reference, device="cpu").order)
    quantised = load(asked.quantised)
    made = {name for node in quantised.graph.node for name in node.output}
    names = tuple(name for name in markable(quantised) if name in known and name in made)
    print(f"{plain.name} built; {len(names)} tensors to look at", flush=True)
    try:
        options = BuildOptions(precision=asked.precision, debug_tensors="unfused" if asked.unfused else names)
        debug = build_engine(asked.quantised, folder / "debug.engine", options).engine
        _listen(debug, names)
        return plain, debug
    except EngineError as error:
        print(f"no debug tensors ({error.problem}); marking outputs", flush=True)
    save(Mark(names)(quantised).model, folder / "marked.onnx")
    return plain, build_engine(
        folder / "marked.onnx", folder / "marked.engine", BuildOptions(precision=asked.precision)
    ).engine


def _listen(engine: Path, names: tuple[str, ...]) -> None:
    """Run once, to see whether the engine tells of its debug tensors."""
    manifest = manifest_of(engine)
    feeds = {spec.name: np.ones(manifest.profile[spec.name][1], spec.dtype) for spec in manifest.inputs}
    with engine_tensors(engine, names) as shown:
        shown.read(feeds, names)


def _compare(name: str, first: Path, second: Path, shown: Path, photos: list[Path], out: Path) -> None:
    with Detector.open(first, device="cpu") as one, Detector.open(second) as other:
        found = compare_detectors(one, other, photos)
        print(f"\n== {name}: {first.name} against {second.name} on {other.runtime.name}")
        print(f"{found.verdict}: {found.reason}")
        print(
            f"{found.counted} detections, {found.only_first} only in the first, "
            f"{found.only_second} only in the second\n"
            f"score drift {found.score_drift.mean:.4f} (shift {found.score_shift:+.4f}), "
            f"box drift {found.box_drift.median:.2f} px median",
            flush=True,
        )
        walked = compare_layers_of((first, one), (shown, other), photos, device="auto")
    _print(walked)
    write_json(out / f"compare_{name}.json", found, walked, models=[first, second])


def _print(walked: LayerComparison) -> None:
    print(f"{len(walked.tensors)} tensors")
    if walked.first:
        drift = walked.first.drift
        print(
            f"first to drift: {walked.first.name}\n"
            f"  {drift.size:.1%}, inherited {walked.first.inherited:.1%}; {drift.looks_like}"
        )
    for tensor in walked.worst(8):
        drift = tensor.drift
        print(
            f"  own {tensor.own:7.1%} of {drift.size:7.1%}  std {drift.std_first:.3g} -> {drift.std_second:.3g}, "
            f"cosine {drift.cosine:.4f}  {tensor.name}",
            flush=True,
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path)
    parser.add_argument("quantised", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=64)
    parser.add_argument("--precision", default="fp32", help="of what is not quantised")
    parser.add_argument("--unfused", action="store_true", help="show only what fusion leaves, and change nothing")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
