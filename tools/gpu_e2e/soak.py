"""Very many photos, one in a hundred damaged: order, errors, memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

from detrt.detector import Detector
from detrt.images.sources import PhotoBytes
from detrt.pipeline import detect_stream
from detrt.runtime.cuda import first_gpu


def soak(model: Path, files: list[bytes], *, batch: int, count: int, seconds: float) -> None:
    """Stream `count` photos through a model, an engine or an ONNX on the CPU, for so many seconds at most."""
    damage = (b"", b"no photo", files[0][: len(files[0]) // 2], files[1][:-4000] + b"\xff\xd9")

    def items() -> Iterator[PhotoBytes]:
        for number in range(count):
            data = damage[number // 100 % len(damage)] if damaged(number) else files[number % len(files)]
            yield PhotoBytes(data, f"photo {number}")

    here = first_gpu()
    wrong, errors, unnamed, memory = 0, 0, 0, []
    with Detector.open(model) as detector:
        started = time.perf_counter()
        for number, outcome in enumerate(detect_stream(detector, items(), batch=batch, keep_pixels=False)):
            failed = outcome.error is not None
            wrong += outcome.item.name != f"photo {number}" or failed != damaged(number)
            errors += failed
            unnamed += failed and outcome.item.name not in str(outcome.error)
            if time.perf_counter() - started > seconds:
                break
            if number % (count // 10) == count // 20:
                memory.append((_resident(), (here.memory - here.free_memory()) >> 20 if here else 0))
        taken, count = time.perf_counter() - started, number + 1
    print(
        f"soak: {count:,} photos in {taken:.1f} s ({count / taken:,.0f} a second), {wrong} out of order or "
        f"misjudged, {errors} errors, {unnamed} of them without a name; (host, device) MiB over time {memory}",
    )


def damaged(number: int) -> bool:
    """Whether the photo of that number is."""
    return number % 100 == 37


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20
