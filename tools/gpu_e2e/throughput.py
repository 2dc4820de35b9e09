"""The engine alone, our ways and other people's, in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from engines import engine_of
from rivals import OpenCvThreads, OriginsWay

from detrt.benchmark.end_to_end import EndToEndStream, end_to_end_calls
from detrt.benchmark.machine import gpu_clock
from detrt.benchmark.subjects import Case, open_case
from detrt.benchmark.timeables import HostCalls
from detrt.benchmark.timeline import plot_timeline
from detrt.benchmark.timings import Subject, Timings
from detrt.benchmark.turns import Pace, Timeable, take_turns
from detrt.detector import Detector
from detrt.errors import DetrtError
from detrt.images.gpu.nvjpeg import NvJpeg
from detrt.images.read import decode_photo
from detrt.images.sources import PhotoBytes
from detrt.pipeline.device import device_lane
from detrt.runtime.cuda import gpu
from detrt.runtime.tensorrt import TensorRTRuntime
from detrt.stages import StageTimes


def compare_throughput(model: Path, files: list[bytes], *, batches: Sequence[int], seconds: float, out: Path) -> None:
    pictures = [decode_photo(file) for file in files[:64]]
    engines = {batch: engine_of(model, batch, "fp16") for batch in batches}
    alone = StageTimes()
    ways: list[tuple[str, Callable[[], Timeable]]] = []
    for batch, engine in engines.items():
        ways += [
            (f"engine b{batch}", _engine(engine, batch, pictures)),
            (f"ours b{batch}", _stream(engine, batch, files, chip, StageTimes())),
        ]
    first, last = engines[min(batches)], engines[max(batches)]
    ways += [
        (f"ours b{max(batches)}, CPU decoding", _stream(last, max(batches), files, None, StageTimes())),
        (f"OpenCV and 16 threads b{max(batches)}", _opencv(last, max(batches), files)),
        ("ours, call by call b1", _calls(first, files)),
        ("the same, in pieces", _calls_with(chip, first, files, alone)),
        ("ours, call by call b1, CPU decoding", _calls_with(None, first, files, StageTimes())),
        ("the origin's way b1", _origins(first, files)),
    ]
    with ExitStack() as stack:
        opened: dict[str, Timeable] = {}
        for name, way in ways:
            try:
                opened[name] = stack.enter_context(way())
            except (DetrtError, RuntimeError, ImportError) as error:  # noqa: PERF203 a way that cannot be gone here
                print(f"{name}: {type(error).__name__} {error}")
        rows, failed = take_turns(list(opened.values()), Pace(seconds, warm_up=2.0), clock_mhz=gpu_clock())
        for subject, error in failed:
            print(f"{subject}: {error}")
        names = {id(way.subject): name for name, way in opened.items()}
    _print({names[id(row.subject)]: row for row in rows})
    watched = _watched(last, max(batches), files)
    for name, times in (("ours at the largest batch", watched), ("ours call by call", alone)):
        print(f"{name}, ms an image:", {k: round(v, 4) for k, v in times.per_image().items()}, flush=True)
    if watched.spans:
        plot_timeline(watched.spans, out / "timeline.png")


def _watched(engine: Path, batch: int, files: list[bytes]) -> StageTimes:
    """Where a stream's time goes, looked at after the timing: to note it takes time, and garbage to be collected."""
    times = StageTimes(keep_spans=True)
    with _stream(engine, batch, files, chip, times)() as way:
        way.time(40)
    return times


def chip() -> NvJpeg:
    return NvJpeg(gpu())


def _print(rows: dict[str, Timings]) -> None:
    engines = {name: row for name, row in rows.items() if name.startswith("engine")}
    best = max(row.images_per_second for row in engines.values())
    single = min(engines.values(), key=lambda row: row.subject.batch).p50
    for name, row in rows.items():
        print(
            f"{name:44} p50 {row.p50:8.3f} p90 {row.p90:8.3f} p99 {row.p99:8.3f} ms {row.images_per_second:8,.0f} "
            f"images/s, {row.images_per_second / best:.3f} of the best engine; {row.p50 - single:+.3f} ms to engine b1"
            f"{'' if row.settled else ' (not stable)'}",
        )


def _subject(engine: Path, protocol: Any, batch: int) -> Subject:
    return Subject(engine.name, "TensorRT", "fp16", "cuda:0", protocol, batch)


def _engine(engine: Path, batch: int, pictures: list[Any]) -> Callable[[], Timeable]:
    return lambda: open_case(Case(str(engine), "tensorrt", batch=batch), pictures)


def _stream(engine: Path, batch: int, files: list[bytes], decoder: Any, times: StageTimes) -> Callable[[], Timeable]:
    def way() -> Timeable:
        detector = Detector.open(engine)
        lane = device_lane(detector, batch, times, decoder=decoder)
        return EndToEndStream(_subject(engine, "stream", batch), detector, files, lane=lane, times=times)

    return way


def _calls(engine: Path, files: list[bytes]) -> Callable[[], Timeable]:
    return lambda: end_to_end_calls(_subject(engine, "e2e", 1), Detector.open(engine), files)


def _calls_with(decoder: Any, engine: Path, files: list[bytes], times: StageTimes) -> Callable[[], Timeable]:
    def way() -> Timeable:
        detector = Detector.open(engine)
        lane = device_lane(detector, 1, times, decoder=decoder, alone=True)
        place = lane.place()
        items = [PhotoBytes(file) for file in files]

        def call(run: int) -> None:
            lane.run(place, [lane.load(place, 0, items[run % len(items)])])
            times.images += 1

        def close() -> None:
            lane.close()
            detector.close()

        return HostCalls(_subject(engine, "e2e", 1), call, close)

    return way


def _origins(engine: Path, files: list[bytes]) -> Callable[[], Timeable]:
    return lambda: OriginsWay(_subject(engine, "e2e", 1), TensorRTRuntime(engine), files)


def _opencv(engine: Path, batch: int, files: list[bytes]) -> Callable[[], Timeable]:
    return lambda: OpenCvThreads(_subject(engine, "stream", batch), Detector.open(engine), files, workers=16)
