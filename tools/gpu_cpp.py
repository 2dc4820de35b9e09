"""detrt-run beside Python on a GPU machine, in one call: AP, agreement box by box, the benchmark of the same engine.

    python tools/gpu_cpp.py --program detrt-run --model femto.onnx --fp8 femto.fp8.onnx --photos DIR... \\
        --annotations JSON --out $OUT [--calib DIR] [--timed R18.onnx --batch 32]

The FP32 engine is built by `detrt-run --onnx`, FP16 and FP8 (its rest in --rest) by Python; both programs run all of
them. Photos may lie in several folders; those of the annotations that are in none are left out. Writes cpp.json, the
benchmarks' reports and the C++ results, compressed, to --out, as it goes, and prints all of it at the end.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import numpy as np

from detrt.benchmark.report import load_report
from detrt.benchmark.run import benchmark
from detrt.benchmark.subjects import cases_of
from detrt.benchmark.turns import Pace
from detrt.detections import Detections
from detrt.detector import Detector
from detrt.engine.builder import build_engine
from detrt.engine.options import Batch, BuildOptions
from detrt.evaluate import CocoDataset, coco_dataset, evaluate, found_in_results, score

BOX, SCORE = 0.1, 1e-3  # pixels, and share: how far apart two programs may be


def main() -> None:
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    asked.work.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {}
    with _step("photos"):
        dataset = _dataset(asked)
    with _step("engines"):
        engines = _built(asked, dataset)
    if "ap" in asked.only:
        with _step("AP of ONNX Runtime on the CPU"):
            told["onnxruntime"] = {"ap, Python": _by_python(asked.model, dataset, asked, "cpu")[0]}
        for name in ("fp32", "fp16", "fp8"):
            with _step(f"AP of {name}, C++"):
                ap, ours = _by_cpp(engines[name], dataset, asked)
            with _step(f"AP of {name}, Python"):
                their_ap, theirs = _by_python(engines[name], dataset, asked, "auto")
            told[name] = {"ap, C++": ap, "ap, Python": their_ap} | _agreement(ours, theirs)
            print(name, json.dumps(told[name]), flush=True)
            _save(asked, told)
    if "bench" in asked.only:
        told["bench"] = _bench(asked, engines["fp16"], 1, ("engine", "infer", "e2e", "stream"))
        _save(asked, told)
        if asked.timed:
            told["bench of many"] = _bench(asked, engines["timed"], asked.batch, ("engine", "stream"))
            _save(asked, told)
    print(json.dumps(told, indent=1))


def _dataset(asked: argparse.Namespace) -> CocoDataset:
    """The set with its photos in one folder, and without those that nobody brought."""
    together = asked.work / "photos"
    together.mkdir(exist_ok=True)
    for folder in asked.photos:
        for photo in folder.glob("*.jpg"):
            link = together / photo.name
            if not link.exists():
                link.symlink_to(photo.resolve())
    content = json.loads(asked.annotations.read_text())
    content["images"] = [image for image in content["images"] if (together / image["file_name"]).exists()]
    annotations = asked.work / "instances.json"
    annotations.write_text(json.dumps(content))
    return coco_dataset(annotations, together)


def _built(asked: argparse.Namespace, dataset: CocoDataset) -> dict[str, Path]:
    """The engines, side by side: each build keeps one core busy."""
    engines = {name: asked.work / f"{name}.engine" for name in ("fp32", "fp16", "fp8", "timed")}
    options = BuildOptions(precision="fp16", calibration=asked.calib)
    many = BuildOptions(precision="fp16", batch=Batch(asked.batch, asked.batch, asked.batch))
    narrow = BuildOptions(precision=asked.rest, calibration=asked.calib)
    jobs = [(asked.model, engines["fp16"], options), (asked.fp8, engines["fp8"], narrow)]
    if asked.timed:
        jobs.append((asked.timed, engines["timed"], many))
    with ProcessPoolExecutor(len(jobs)) as pool:
        builds = [pool.submit(build_engine, *job) for job in jobs]
        _run(asked, "--onnx", asked.model, "--keep", engines["fp32"], dataset.photos[0].path)
        for build in builds:
            build.result()
    return engines


def _by_cpp(engine: Path, dataset: CocoDataset, asked: argparse.Namespace) -> tuple[float, Mapping[int, Detections]]:
    results = asked.work / f"{engine.stem}.results.json"
    _run(
        asked, "--engine", engine, asked.work / "photos", "--coco-results", results,
        "--annotations", asked.work / "instances.json", "--decode", asked.decode,
    )  # fmt: skip
    (asked.out / f"{results.name}.gz").write_bytes(gzip.compress(results.read_bytes(), 6))
    found = found_in_results(results, dataset)
    return score(dataset, found, dataset.category_ids).ap, found


def _by_python(
    model: Path, dataset: CocoDataset, asked: argparse.Namespace, device: str
) -> tuple[float, Mapping[int, Detections]]:
    with Detector.open(model, device=device) as detector:
        done = evaluate(detector, dataset, journal=asked.work / f"{model.stem}.jsonl")
        categories = dataset.categories_of(detector.contract)
    labels = {category: label for label, category in enumerate(dataset.category_ids)}
    return done.scores.ap, {
        image: Detections(
            one.boxes, one.scores, np.array([labels[categories[label]] for label in one.labels], np.int64)
        )
        for image, one in done.found.items()
    }


def _agreement(ours: Mapping[int, Detections], theirs: Mapping[int, Detections]) -> dict[str, Any]:
    """Rows without a partner of the same label within `BOX` and `SCORE`, and how far partners are apart at most."""
    lonely = rows = 0
    furthest_box = furthest_score = 0.0
    for image, one in ours.items():
        other = theirs[image]
        rows += len(one)
        lonely += abs(len(one) - len(other))
        if not len(other):
            continue
        boxes = np.abs(one.boxes[:, None] - other.boxes[None]).max(2)
        scores = np.abs(one.scores[:, None] - other.scores[None])
        apart = np.where(one.labels[:, None] == other.labels[None], np.maximum(boxes / BOX, scores / SCORE), np.inf)
        best = apart.argmin(1)
        near = apart.min(1) <= 1
        lonely += int((~near).sum())
        index = np.arange(len(one))
        if near.any():
            furthest_box = max(furthest_box, float(boxes[index, best][near].max()))
            furthest_score = max(furthest_score, float(scores[index, best][near].max()))
    return {
        "photos": len(ours), "rows": rows, "rows apart": lonely,
        "furthest box, pixels": furthest_box, "furthest score": furthest_score,
    }  # fmt: skip


def _bench(asked: argparse.Namespace, engine: Path, batch: int, protocols: Sequence[str]) -> list[dict[str, Any]]:
    """C++, Python, and C++ again: what drifts shows between the first and the last."""
    reports = []
    for turn in ("cpp_1", "python", "cpp_2"):
        path = asked.out / f"bench_{engine.stem}_{turn}.json"
        with _step(f"benchmark of {engine.name}: {turn}"):
            if turn == "python":
                cases = cases_of([str(engine)], protocols=protocols, batch_sizes=[batch])
                benchmark(cases, photos=asked.work / "photos", pace=Pace(asked.seconds)).save(path)
            else:
                _run(
                    asked, "--engine", engine, asked.work / "photos", "--bench", ",".join(protocols),
                    "--batch", batch, "--seconds", asked.seconds, "--json", path, "--decode", asked.decode,
                )  # fmt: skip
        reports.append((turn, load_report(path)))
    table = []
    for turn, report in reports:
        fastest = next(row for row in report.rows if row.subject.protocol == "engine").images_per_second
        for row in report.rows:
            table.append(
                {
                    "by": turn, "what": row.subject.how, "p50": row.p50, "p99": row.p99,
                    "images/s": row.images_per_second, "of engine": row.images_per_second / fastest,
                }
            )  # fmt: skip
            print(json.dumps(table[-1]), flush=True)
    return table


def _run(asked: argparse.Namespace, *words: object) -> None:
    command = [str(asked.program), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    print("\n".join((done.stdout + done.stderr).splitlines()[-8:]), flush=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")


def _save(asked: argparse.Namespace, told: Mapping[str, Any]) -> None:
    (asked.out / "cpp.json").write_text(json.dumps(told, indent=1))


@contextmanager
def _step(name: str) -> Iterator[None]:
    start = time.perf_counter()
    print(f"### {name}", flush=True)
    yield
    print(f"    {time.perf_counter() - start:.1f} s", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, help="FP32")
    parser.add_argument("--fp8", type=Path, required=True)
    parser.add_argument("--rest", default="fp16", choices=["fp16", "bf16", "fp32"], help="what FP8 leaves runs in")
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--calib", type=Path)
    parser.add_argument("--timed", type=Path, help="a model with a dynamic batch, to be timed at --batch")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--decode", default="cpu", choices=["cpu", "gpu"])
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--only", type=lambda text: text.split(","), default=["ap", "bench"], help="ap, bench")
    parser.add_argument("--work", type=Path, default=Path("/tmp/cpp"))
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
