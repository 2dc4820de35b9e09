"""Hold an engine to its word on a GPU: right, fast at its second start, steady over many runs from several threads.

    python tools/check_engine_on_gpu.py MODEL.engine [...] [--onnx MODEL.onnx --photos DIR] [--runs 10000] [--json FILE]

Without --onnx the engine is fed noise (seeded), and only compared with itself.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from detrt.engine.manifest import cache_path
from detrt.runtime.cuda import CudaEvent
from detrt.runtime.device import DeviceSession
from detrt.runtime.tensorrt import TensorRTRuntime

Feeds = Mapping[str, npt.NDArray[Any]]
THREADS = 4
START = """
import sys, time
started = time.perf_counter()
import numpy as np
from detrt.runtime.tensorrt import TensorRTRuntime
imported = time.perf_counter()
runtime = TensorRTRuntime(sys.argv[1])
opened = time.perf_counter()
runtime.run({s.name: np.ones([a or 1 for a in s.shape], s.dtype) for s in runtime.inputs})
done = time.perf_counter()
assert not {"torch", "onnx", "onnxruntime"} & set(sys.modules)
print(imported - started, opened - imported, done - opened)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="+", type=Path)
    parser.add_argument("--onnx", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report = {}
    for engine in arguments.engines:
        print(f"== {engine}", flush=True)
        result = check(engine, arguments.onnx, arguments.photos, arguments.runs)
        report[engine.name] = result
        for name, value in result.items():
            print(f"{name:>32}: {value}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))


def check(engine: Path, onnx: Path | None, photos: Path | None, runs: int) -> dict[str, Any]:
    result: dict[str, Any] = starts(engine)
    with TensorRTRuntime(engine, check=True) as runtime:
        result |= {
            "runs on": runtime.name,
            "gpu": runtime.gpu.name,
            "capability": runtime.gpu.capability,
            "driver": runtime.gpu.driver,
        }
        sets = feed_sets(runtime, onnx, photos)
        result |= launches(runtime, sets)
        result |= host_runs(runtime, sets)
        if runs:
            result |= many_runs(runtime, sets, runs)
    return result


def starts(engine: Path) -> dict[str, Any]:
    """First start, without a cache, and second start; each in a process of its own."""
    cache_path(engine).unlink(missing_ok=True)
    seconds: list[list[float]] = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", START, str(engine)], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        seconds.append([float(word) for word in done.stdout.split()])
    cache = cache_path(engine)
    load = [round(opened + first, 3) for _, opened, first in seconds]
    return {
        "imports s": [round(row[0], 3) for row in seconds],
        "open s": [round(row[1], 3) for row in seconds],
        "first result s": [round(row[2], 3) for row in seconds],
        "start s (open + first result)": load,
        "second start is faster by": round(load[0] / load[1], 1),
        "cache MB": round(cache.stat().st_size / 1e6, 2) if cache.is_file() else None,
    }


def feed_sets(runtime: TensorRTRuntime, onnx: Path | None, photos: Path | None) -> list[Feeds]:
    if onnx and photos:
        from detrt.decoding import sizes_to_feed
        from detrt.detector import Detector
        from detrt.images.read import read_photo

        with Detector.open(onnx, device="cpu") as detector:
            prepared = [detector.preprocessor([read_photo(path)]) for path in sorted(photos.glob("*.jpg"))[:THREADS]]
            name, sizes = detector.contract.input_name, detector.contract.sizes_name
        return [{name: batch} | ({sizes: sizes_to_feed(placed)} if sizes else {}) for batch, placed in prepared]
    draw = np.random.default_rng(0)
    return [
        {
            spec.name: draw.random([axis or 1 for axis in spec.shape], np.float32)
            if spec.dtype == "float32"
            else np.full([axis or 1 for axis in spec.shape], 640, spec.dtype)
            for spec in runtime.inputs
        }
        for _ in range(THREADS)
    ]


def launches(runtime: TensorRTRuntime, sets: list[Feeds], rounds: int = 300) -> dict[str, Any]:
    """Device time of one launch, CUDA graph and stream in turns, input sets in rotation; and whether they agree."""
    times: dict[str, list[float]] = {"graph": [], "stream": []}
    before, after = CudaEvent(), CudaEvent()
    with runtime.session() as graph, runtime.session(graph=False) as stream:
        sessions: dict[str, DeviceSession] = {"graph": graph, "stream": stream}
        outputs = {}
        for turn in range(rounds + 20):
            for name, session in sessions.items():
                session.upload(sets[turn % len(sets)])
                before.record(session.stream)
                session.launch()
                after.record(session.stream)
                after.synchronize()
                if turn >= 20:
                    times[name].append(after.milliseconds_since(before))
                outputs[name] = session.download()
        same = all(np.array_equal(outputs["graph"][name], outputs["stream"][name]) for name in outputs["graph"])
    return {f"{name} ms p50/p90/p99": percentiles(values) for name, values in times.items()} | {"graph == stream": same}


def host_runs(runtime: TensorRTRuntime, sets: list[Feeds], rounds: int = 300) -> dict[str, Any]:
    """Wall time of `run`, host arrays in and out."""
    times = []
    for turn in range(rounds + 20):
        started = time.perf_counter()
        runtime.run(sets[turn % len(sets)])
        times.append((time.perf_counter() - started) * 1e3)
    return {"run ms p50/p90/p99": percentiles(times[20:])}


def many_runs(runtime: TensorRTRuntime, sets: list[Feeds], runs: int) -> dict[str, Any]:
    """Many runs, alone and from several threads: identical results, and memory that does not grow."""
    wanted = [runtime.run(feeds) for feeds in sets]
    differences: list[float] = []

    def work(count: int) -> int:
        wrong = 0
        for turn in range(count):
            got, want = runtime.run(sets[turn % len(sets)]), wanted[turn % len(sets)]
            if not all(np.array_equal(got[name], want[name]) for name in got):
                wrong += 1
                differences.append(disagreement(got, want))
        return wrong

    with ThreadPoolExecutor(THREADS) as pool:
        sum(pool.map(work, [200] * THREADS))  # contexts, graphs and allocator pools are made once
        differences.clear()
        alone = work(runs // THREADS)
        memory = [(resident_bytes(), runtime.gpu.free_memory())]
        started, wrong = time.perf_counter(), 0
        for _ in range(4):
            wrong += sum(pool.map(work, [runs // THREADS // 4] * THREADS))
            memory.append((resident_bytes(), runtime.gpu.free_memory()))
        seconds = time.perf_counter() - started
    host, device = zip(*memory, strict=True)
    return {
        "threads x runs": f"{THREADS} x {runs // THREADS // 4 * 4}",
        "results that differ": wrong,
        f"of {runs // THREADS} runs alone": alone,
        "largest difference of sorted rows": max(differences, default=0.0),
        "runs/s": round(runs / seconds),
        "host memory MB at each quarter": [round(value / 1e6, 1) for value in host],
        "device memory used since, MB": [round((device[0] - value) / 1e6, 1) for value in device],
    }


def disagreement(first: Feeds, second: Feeds) -> float:
    """Largest difference of any output once its values are sorted: 0 where only the order of rows differs."""
    return max(
        float(np.abs(np.sort(first[name], axis=None) - np.sort(second[name], axis=None)).max()) for name in first
    )


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def percentiles(times: list[float]) -> str:
    cuts = statistics.quantiles(times, n=100)
    return f"{statistics.median(times):.3f} / {cuts[89]:.3f} / {cuts[98]:.3f}"


if __name__ == "__main__":
    main()
