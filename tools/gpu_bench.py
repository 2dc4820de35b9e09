"""Build every ONNX model of a folder and time the engines side by side, in one call on a GPU machine.

    python tools/gpu_bench.py MODELS --precision fp16,fp32 --batch 1,8 --naive rtdetr_transformers --out $OUT

Needs detrt's own packages but for the command line's. Leaves bench.json (and bench.png where Matplotlib is) in --out,
prints what it builds as it goes and one line a row at the end, so that the end of a log says it all.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from detrt.benchmark.report import BenchmarkReport
from detrt.benchmark.run import benchmark
from detrt.benchmark.subjects import Case, cases_of
from detrt.benchmark.timings import ratio
from detrt.benchmark.turns import Pace
from detrt.engine.builder import build_engine
from detrt.engine.options import Batch, BuildOptions
from detrt.errors import DetrtError
from detrt.graph.index import GraphIndex
from detrt.graph.onnx_file import input_specs, load, save
from detrt.graph.retype import retyped


def main() -> None:
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    work = asked.work or asked.out / "engines"
    models = sorted(asked.models.glob("*.onnx"))
    naive = [_naively_cast(model, work) for model in models if any(name in model.name for name in asked.naive)]
    engines: dict[int, list[str]] = {}
    for model in models:
        for precision in asked.precision:
            _build(model, precision, asked, work, engines)
    for model in naive:
        _build(model, "fp32", asked, work, engines)
    cases: list[Case] = []
    for batch, files in engines.items():
        graphs = (True, False) if batch == min(engines) else (True,)
        cases += cases_of(files, protocols=asked.protocol, batch_sizes=[batch], graphs=graphs)
        if batch == max(engines):
            cases += cases_of(files, protocols=["engine"], batch_sizes=[batch], streams=[4])
    for variant in asked.torch:
        cases += cases_of(
            [f"random:{variant}"],
            runtimes=["torch", "torch-compiled"],
            batch_sizes=asked.batch,
            precisions=["fp32", "fp16"],
        )
    report = benchmark(
        cases, photos=asked.photos, pace=Pace(asked.seconds), command=sys.argv, progress=lambda *told: _tell(*told)
    )
    report.save(asked.out / "bench.json")
    _draw(report, asked.out / "bench.png")
    _print(report)


def _build(model: Path, precision: str, asked: argparse.Namespace, work: Path, engines: dict[int, list[str]]) -> None:
    fixed = input_specs(load(model))[0].shape[0]
    for batch in [fixed] if fixed else asked.batch:
        engine = work / f"{model.stem}_{precision}_b{batch}.engine"
        options = BuildOptions(
            precision=precision,  # type: ignore[arg-type]
            batch=Batch(batch, batch, batch),
            calibration=asked.calib,
        )
        start = time.perf_counter()
        try:
            result = build_engine(model, engine, options)
        except DetrtError as error:
            print(f"NOT BUILT {engine.name}: {error}", flush=True)
            continue
        note = result.manifest.precision_note
        print(f"built {engine.name} in {time.perf_counter() - start:.1f} s; {note}", flush=True)
        engines.setdefault(batch, []).append(str(engine))


def _naively_cast(model: Path, work: Path) -> Path:
    """Everything FP16 but inputs and outputs: what our precision is compared with."""
    target = work / f"{model.stem}_naive.onnx"
    save(retyped(GraphIndex(load(model)), "fp16", frozenset()), target)
    return target


def _draw(report: BenchmarkReport, path: Path) -> None:
    from detrt.benchmark.plot import plot

    try:
        plot(report, path)
    except DetrtError as error:
        print(f"no picture: {error}")


def _print(report: BenchmarkReport) -> None:
    for failure in report.failures:
        print(f"FAILED {failure}")
    print(f"\n{report.machine}; driver {report.machine.facts.get('driver_version', '?')}; ms a run")
    print(f"{'p50':>8} {'p90':>8} {'p99':>8} {'img/s':>8} {'x first':>8}  MHz        row")
    for row in report.rows:
        clocks = "-".join(map(str, row.clocks_mhz or ()))
        print(
            f"{row.p50:8.3f} {row.p90:8.3f} {row.p99:8.3f} {row.images_per_second:8.0f} "
            f"{ratio(row, report.rows[0])[0]:8.2f}  {clocks:9}  {row.subject}"
            f"{'' if row.settled else ' (not stable)'}"
        )


def _tell(stage: str, done: int, total: int | None) -> None:
    if done == total:
        print(f"{stage}: {done} done", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, help="folder of ONNX files")
    parser.add_argument("--precision", type=_words, default=["fp16"], help="fp16,fp32,tf32,bf16")
    parser.add_argument("--batch", type=lambda text: [int(word) for word in _words(text)], default=[1])
    parser.add_argument("--protocol", type=_words, default=["engine"], help="engine,infer")
    parser.add_argument("--naive", type=_words, default=[], help="also cast these naively; parts of file names")
    parser.add_argument("--torch", type=_words, default=[], help="also time these variants in PyTorch: r18vd")
    parser.add_argument("--calib", type=Path, help="calibration photos; without them, static rules decide")
    parser.add_argument("--photos", type=Path, help="photos to run on; made ones if left out")
    parser.add_argument("--seconds", type=float, default=3.0, help="timed seconds for each row")
    parser.add_argument("--out", type=Path, required=True, help="folder for bench.json and bench.png")
    parser.add_argument("--work", type=Path, help="folder for engines; in --out if left out")
    return parser.parse_args()


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


if __name__ == "__main__":
    main()
