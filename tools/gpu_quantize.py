"""Quantised models against FP16 in one call on a GPU machine: engine times, AP, and the layers that really run narrow.

    python tools/gpu_quantize.py MODELS --out $OUT [--annotations JSON --images DIR] [--batch 1,8,32]

MODELS holds pairs NAME.onnx (float) and NAME.PRECISION.onnx (`detrt quantize` with --rest fp32). The float model is
built as FP16; a quantised one with its rest in FP16. A precision that the TensorRT there cannot build is said and left
out. Where annotations are given, each engine's own AP is measured at the first batch size.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from detrt.benchmark.run import benchmark
from detrt.benchmark.subjects import cases_of
from detrt.benchmark.timings import ratio
from detrt.benchmark.turns import Pace
from detrt.detector import Detector
from detrt.engine.builder import build_engine
from detrt.engine.options import Batch, BuildOptions
from detrt.errors import DetrtError
from detrt.evaluate import CocoDataset, coco_dataset, evaluate
from detrt.graph.onnx_file import input_specs, load
from detrt.profile.live import profile_engine

NARROW = ("int8", "fp8")


def main() -> None:
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    labelled = coco_dataset(asked.annotations, asked.images) if asked.annotations else None
    results: dict[str, dict[str, object]] = {}
    engines: dict[int, list[str]] = {}
    for model in sorted(asked.models.glob("*.onnx")):
        fixed = input_specs(load(model))[0].shape[0]
        for number, batch in enumerate([fixed] if fixed else asked.batch):
            engine = asked.work / f"{model.stem}_b{batch}.engine"
            options = BuildOptions(precision="fp16", batch=Batch(batch, batch, batch), calibration=asked.calib)
            try:
                build_engine(model, engine, options)
                engines.setdefault(batch, []).append(str(engine))
                results[engine.stem] = {"layers": _layers(engine)}
                if labelled and not number:
                    results[engine.stem]["ap"] = _ap(engine, labelled, asked.out)
            except DetrtError as error:
                results[engine.stem] = {"failed": str(error)}
            print(engine.stem, json.dumps(results[engine.stem]), flush=True)
    cases = [case for batch, files in engines.items() for case in cases_of(files, batch_sizes=[batch])]
    report = benchmark(cases, pace=Pace(asked.seconds), command=sys.argv)
    report.save(asked.out / "bench.json")
    (asked.out / "quantize.json").write_text(json.dumps(results, indent=1))
    for row in report.rows:
        narrow = any(name in row.subject.model for name in NARROW)
        beside = [other for other in report.rows if other.subject.batch == row.subject.batch]
        rival = next(
            (
                other
                for other in beside
                if not any(name in other.subject.model for name in NARROW)
                and row.subject.model.startswith(other.subject.model.partition("_b")[0])
            ),
            None,
        )
        verdict = ""
        if narrow and rival is not None:
            middle = ratio(row, rival)[0]
            verdict = f"{middle:.2f} x FP16" + (": not faster, use FP16" if middle >= 1 else "")
        print(f"{row.p50:8.3f} ms  {row.images_per_second:8.0f} images/s  {row.subject.model}  {verdict}")


def _layers(engine: Path) -> dict[str, int]:
    """How many layers of each kind compute on each type, as the engine's own inspector tells."""
    layers = profile_engine(engine, runs=20).layers
    found = Counter(f"{layer.kind} {layer.precision}".strip() for layer in layers if layer.work == "compute")
    found["reformat"] = sum(layer.work == "reformat" for layer in layers)
    return dict(found)


def _ap(engine: Path, labelled: CocoDataset, out: Path) -> float:
    with Detector.open(engine) as detector:
        return evaluate(detector, labelled, journal=out / f"{engine.stem}.jsonl").scores.ap


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    parser.add_argument("--batch", type=lambda text: [int(word) for word in text.split(",")], default=[1])
    parser.add_argument("--calib", type=Path, help="calibration photos, to find what must stay FP32")
    parser.add_argument("--annotations", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--work", type=Path, default=Path("/tmp/engines"))
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
