"""Quantised models against FP16 in one call on a GPU machine: engine times, AP, and the layers that really run narrow.

    python tools/gpu_quantize.py MODELS --out $OUT --timed r18 [--batch 1,8,32] [--annotations JSON --images DIR]

MODELS holds pairs NAME.onnx (float) and NAME.PRECISION.onnx (`detrt quantize` with --rest fp32); a folder `hollow` in
it, models that `tools/hollow.py` has emptied, which are timed but never scored. Everything is built in FP16, a
quantised model around its quantisers, all engines at once in processes of their own. Those whose name begins with one
of --timed are then timed in turns at each batch size, FP8 beside FP16. Where annotations are given, every engine that
is no hollow one's is scored at the first batch size. What cannot be built here is said and left out, and what was
found is written after each step, so that a command that is cut off has not been for nothing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from tools.hollow import filled

from detrt.benchmark.report import BenchmarkReport
from detrt.benchmark.run import benchmark
from detrt.benchmark.subjects import cases_of
from detrt.benchmark.timings import Timings, ratio
from detrt.benchmark.turns import Pace
from detrt.detector import Detector
from detrt.engine.builder import build_engine
from detrt.engine.options import Batch, BuildOptions
from detrt.errors import DetrtError
from detrt.evaluate import CocoDataset, coco_dataset, evaluate
from detrt.files import whole
from detrt.graph.onnx_file import input_specs, load
from detrt.profile.live import profile_engine
from detrt.runtime.cuda import first_gpu

NARROW = ("int8", "fp8")


@dataclass(frozen=True)
class Job:
    """An engine to build: of which model, for how many images a run, and whether its answers mean anything."""

    model: Path
    engine: Path
    batch: int
    hollow: bool


@dataclass
class Results:
    """What was found out so far, by engine; kept in a file."""

    path: Path
    found: dict[str, dict[str, object]] = field(default_factory=dict)

    def tell(self, engine: str, **facts: object) -> None:
        self.found.setdefault(engine, {}).update(facts)
        with whole(self.path) as part:
            part.write_text(json.dumps(self.found, indent=1))
        print(f"{engine}: {json.dumps(facts)}", flush=True)


def main() -> None:
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    results = Results(asked.out / "quantize.json")
    built = _built(list(_jobs(asked)), asked, results)
    if first_gpu() is None:
        print("There is no GPU here: nothing was run.")
        return
    _time([job for job in built if job.model.name.startswith(tuple(asked.timed))], asked)
    if asked.annotations:
        _score([job for job in built if not job.hollow and job.batch == asked.batch[0]], asked, results)
    for job in built:
        _look_inside(job, results)


def _jobs(asked: argparse.Namespace) -> Iterator[Job]:
    """Every model at every batch size; those that are not timed at the first alone."""
    for model in sorted([*asked.models.glob("*.onnx"), *asked.models.glob("hollow/*.onnx")]):
        if hollow := model.parent.name == "hollow":
            asked.work.mkdir(parents=True, exist_ok=True)
            weighted = asked.work / model.name
            onnx.save(filled(onnx.load(model)), weighted)
            model = weighted
        fixed = input_specs(load(model))[0].shape[0]
        sizes = asked.batch if model.name.startswith(tuple(asked.timed)) else asked.batch[:1]
        for batch in [fixed] if fixed else sizes:
            yield Job(model, asked.work / f"{model.stem}_b{batch}.engine", batch, hollow)


def _built(jobs: list[Job], asked: argparse.Namespace, results: Results) -> list[Job]:
    """The jobs whose engine could be built."""
    done = []
    with ProcessPoolExecutor(asked.at_once, multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(_build, job, asked.calib): job for job in jobs}
        for finished in as_completed(waiting):
            job = waiting[finished]
            seconds, problem = finished.result()
            results.tell(
                job.engine.stem, seconds_to_build=round(seconds, 1), **({"failed": problem} if problem else {})
            )
            done += [] if problem else [job]
    return sorted(done, key=lambda job: (job.batch, job.model.name))


def _build(job: Job, calibration: Path | None) -> tuple[float, str]:
    """Seconds that it took, and what went wrong."""
    started = time.perf_counter()
    batch = Batch(job.batch, job.batch, job.batch)
    options = BuildOptions(precision="fp16", batch=batch, calibration=calibration, detailed=True)
    try:
        build_engine(job.model, job.engine, options)
    except DetrtError as error:
        return time.perf_counter() - started, str(error)
    return time.perf_counter() - started, ""


def _time(jobs: list[Job], asked: argparse.Namespace) -> None:
    """All engines of a batch size take turns."""
    cases = [case for job in jobs for case in cases_of([str(job.engine)], batch_sizes=[job.batch])]
    if not cases:
        return
    report = benchmark(cases, pace=Pace(asked.seconds), command=sys.argv)
    report.save(asked.out / "bench.json")
    for failure in report.failures:
        print(f"NOT TIMED: {failure}")
    for row in report.rows:
        print(f"{row.p50:8.3f} ms  {row.images_per_second:8.0f} images/s  {row.subject.model}  {_verdict(row, report)}")


def _verdict(row: Timings, report: BenchmarkReport) -> str:
    """A quantised engine's time beside that of its own float model at the same batch size."""
    name, batch = Path(row.subject.model).stem.rpartition("_b")[0], row.subject.batch
    if not name.endswith(NARROW):
        return ""
    for other in report.rows:
        if other.subject.batch == batch and Path(other.subject.model).stem == f"{name.rpartition('.')[0]}_b{batch}":
            share = ratio(row, other)[0]
            return f"{share:.3f} x FP16" + ("" if share < 1 else ": not faster, use FP16")
    return ""


def _score(jobs: list[Job], asked: argparse.Namespace, results: Results) -> None:
    labelled = coco_dataset(asked.annotations, asked.images)
    for job in jobs:
        results.tell(job.engine.stem, **_ap(job, labelled, asked.work))


def _ap(job: Job, labelled: CocoDataset, work: Path) -> dict[str, object]:
    try:
        with Detector.open(job.engine) as detector:
            return {"ap": evaluate(detector, labelled, journal=work / f"{job.engine.stem}.jsonl").scores.ap}
    except DetrtError as error:
        return {"no_ap": str(error)}


def _look_inside(job: Job, results: Results) -> None:
    """How many layers of each kind compute on each type, as the engine's own inspector tells."""
    try:
        layers = profile_engine(job.engine, runs=20).layers
    except DetrtError as error:
        results.tell(job.engine.stem, not_profiled=str(error))
        return
    kinds = Counter(f"{layer.kind} {layer.precision}".strip() for layer in layers if layer.work == "compute")
    reformats = sum(layer.work == "reformat" for layer in layers)
    results.tell(job.engine.stem, layers=dict(kinds.most_common()), reformats=reformats)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder for quantize.json and bench.json")
    parser.add_argument("--timed", type=_words, default=("",), help="beginnings of the names to time; all by default")
    parser.add_argument("--batch", type=lambda text: [int(word) for word in text.split(",")], default=[1])
    parser.add_argument("--calib", type=Path, help="calibration photos, to find what must stay FP32")
    parser.add_argument("--annotations", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0, help="timed for each engine")
    parser.add_argument("--at-once", type=int, default=8, help="engines that are built at once")
    parser.add_argument("--work", type=Path, default=Path("/tmp/engines"))
    asked = parser.parse_args()
    if (asked.annotations is None) != (asked.images is None):
        parser.error("--annotations and --images go together")
    return asked


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


if __name__ == "__main__":
    main()
