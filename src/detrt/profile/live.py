"""Profile an engine that can run here: its inspector, its profiler, and its latency without either."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detrt.engine.flavour import Flavour
from detrt.files import name_of, whole
from detrt.profile.inspector_json import layers_from_json
from detrt.profile.load import join
from detrt.profile.profile import EngineProfile
from detrt.profile.timings_json import Latency, LayerTime
from detrt.progress import Progress, silent
from detrt.runtime.cuda import CudaEvent
from detrt.runtime.engine_session import EngineSession
from detrt.runtime.gpu import Gpu
from detrt.runtime.tensorrt import TensorRTRuntime
from detrt.runtime.watched_engine import watched

WARM_UP = 20


def profile_engine(
    engine: Path, *, runs: int = 200, device: str = "auto", save: Path | None = None, progress: Progress = silent
) -> EngineProfile:
    """Inspect and time an engine at the usual shape of its profile, on whatever its input buffers hold (zeros).

    Latency comes first and from an ordinary session with CUDA graphs; then layers, one after the other.

    Args:
        engine: an `.engine` with its manifest.
        runs: of each kind.
        device: `auto`, `cuda` or `cuda:N`.
        save: a folder for the raw JSON, as `profile_from_files` reads it again.
        progress: told of every run.

    Raises:
        EngineError: the engine cannot run here.
    """
    with TensorRTRuntime(engine, device=device) as runtime, runtime.session() as session:
        session.shape(_usual(runtime.manifest.profile))
        milliseconds = _latencies(session, runs, progress)
        gpu = runtime.gpu.name
    recorded = _Recorded()
    with watched(engine, recorded.watch, device=device) as (loaded, session):
        session.shape(_usual(loaded.manifest.profile))
        for run in range(WARM_UP + runs):
            if run == WARM_UP:
                recorded.clear()
            session.launch()
            session.synchronize()
            progress("profiled runs", run + 1, WARM_UP + runs)
        inspected = loaded.inspect()
    times = recorded.times()
    if save:
        _save(save, inspected, times, milliseconds, runs, gpu)
    layers = layers_from_json(inspected)
    return EngineProfile(
        name=name_of(Path(engine.stem)),
        layers=layers,
        times=join(layers, times) if times else (),
        latency=Latency(statistics.median(milliseconds), min(milliseconds), max(milliseconds), runs),
        runs=runs,
        device=gpu,
    )


class _Recorded:
    """Milliseconds of each layer, in the order in which the profiler first told of them."""

    def __init__(self) -> None:
        self._milliseconds: dict[tuple[str, int], list[float]] = defaultdict(list)
        self._seen: dict[str, int] = defaultdict(int)
        self._first = ""

    def watch(self, context: Any, flavour: Flavour, gpu: Gpu) -> object:
        """Hang a profiler on a context."""
        trt: Any = flavour.trt

        def init(native: Any) -> None:
            trt.IProfiler.__init__(native)

        def report(native: Any, name: str, milliseconds: float) -> None:
            self.add(name, milliseconds)

        profiler = type("LayerProfiler", (trt.IProfiler,), {"__init__": init, "report_layer_time": report})()
        context.profiler = profiler
        return profiler

    def add(self, name: str, milliseconds: float) -> None:
        """One layer of one run. Names repeat within a run; the first layer's name begins the next."""
        self._first = self._first or name
        if name == self._first:
            self._seen.clear()
        self._milliseconds[name, self._seen[name]].append(milliseconds)
        self._seen[name] += 1

    def clear(self) -> None:
        """Forget the warm-up."""
        self._milliseconds.clear()
        self._seen.clear()

    def times(self) -> list[tuple[str, LayerTime]]:
        """Name and time of each layer."""
        return [
            (name, LayerTime(1e3 * statistics.fmean(values), 1e3 * statistics.median(values)))
            for (name, _), values in self._milliseconds.items()
        ]


def _usual(profile: Mapping[str, tuple[tuple[int, ...], ...]]) -> dict[str, tuple[int, ...]]:
    return {name: shapes[1] for name, shapes in profile.items()}


def _latencies(session: EngineSession, runs: int, progress: Progress) -> list[float]:
    for _ in range(WARM_UP):
        session.launch()
    session.synchronize()
    start, end = CudaEvent(), CudaEvent()
    found = []
    for run in range(runs):
        start.record(session.stream)
        session.launch()
        end.record(session.stream)
        end.synchronize()
        found.append(end.milliseconds_since(start))
        progress("timed runs", run + 1, runs)
    return found


def _save(
    folder: Path, inspected: Any, times: list[tuple[str, LayerTime]], milliseconds: list[float], runs: int, gpu: str
) -> None:
    """The files that trtexec would have written."""
    layers = [{"name": name, "averageMs": time.mean / 1e3, "medianMs": time.median / 1e3} for name, time in times]
    contents = {
        "graph.json": inspected,
        "profile.json": [{"count": runs}, *layers],
        "timing.json": [{"computeMs": value} for value in milliseconds],
        "profile.metadata.json": {"device_information": {"Selected Device": gpu}},
    }
    for name, content in contents.items():
        with whole(folder / name) as part:
            part.write_text(json.dumps(content, indent=1))
