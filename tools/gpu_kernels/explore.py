"""Other sizes of tiles and blocks than the ones chosen: how long each takes at batch 1 and 16."""

from __future__ import annotations

import ctypes
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import torch
from rivals import AttentionRivals, ProjectionRivals
from timing import timed

from detrt.kernels import compiled
from detrt.kernels.compiled import Kernel
from detrt.kernels.deformable_attention import THREADS
from detrt.kernels.launch import Launch
from detrt.kernels.offset_projection import ROWS

PROJECTION = [{"WARPS": warps, "CHUNKS": chunks} for warps in (1, 2, 4, 8) for chunks in (2, 4)]
ATTENTION = [
    {"THREADS": threads, "ROWS": rows, "ONCE": once}
    for threads in (64, 128, 256)
    for rows, once in ((4, 3), (4, 2), (2, 3), (2, 6), (8, 2))
]


class Variant:
    """A kernel file with other constants, launched on the grid that goes with them."""

    def __init__(self, chosen: dict[str, int]) -> None:
        self.chosen = chosen
        self.is_projection = "WARPS" in chosen
        name = "offset_projection" if self.is_projection else "deformable_attention"
        source = compiled.source_of(name).replace(f'#include "{name}.h"', self._header(name))
        if self.is_projection:
            source = re.sub("kChunks = 4;", f"kChunks = {chosen['CHUNKS']};", source)
            source = re.sub(r"^DETRT_KERNEL\((?!int8, float32).*\)$", "", source, flags=re.MULTILINE)
        else:
            source = source.replace("kRows = 4;", f"kRows = {chosen['ROWS']};").replace(
                "kAtOnce = 3;", f"kAtOnce = {chosen['ONCE']};"
            )
            source = re.sub(r"^DETRT_KERNELS\((?!float16, float16).*\)$", "", source, flags=re.MULTILINE)
        major, minor = torch.cuda.get_device_capability()
        self._cubin = compiled.cubin_from(source, f"{name}.cu", f"{major}.{minor}")
        self._kernel: Kernel | None = None

    def __call__(self, launch: Launch, problem: ctypes.Structure) -> None:
        if self._kernel is None:
            self._kernel = Kernel(self._cubin, launch.function)
        if self.is_projection:
            threads = 32 * self.chosen["WARPS"]
            rows = 16 * self.chosen["WARPS"]
            grid = (-(-launch.grid[0] * ROWS // rows), *launch.grid[1:])
        else:
            threads = self.chosen["THREADS"]
            grid = (-(-launch.grid[0] * THREADS * self.chosen["ROWS"] // 4 // threads), 1, 1)
        fitting = replace(launch, grid=grid, threads=threads)
        stream = torch.cuda.current_stream().cuda_stream
        self._kernel.launch(fitting.grid, (fitting.threads, 1, 1), (problem,), stream)

    def _header(self, name: str) -> str:
        text = compiled.headers_here()[f"{name}.h".encode()].decode()
        if self.is_projection:
            text = text.replace("PROJECTION_ROWS 64", f"PROJECTION_ROWS {16 * self.chosen['WARPS']}")
            return text.replace("PROJECTION_THREADS 128", f"PROJECTION_THREADS {32 * self.chosen['WARPS']}")
        return text.replace("ATTENTION_THREADS 128", f"ATTENTION_THREADS {self.chosen['THREADS']}")


def explore() -> dict[str, Any]:
    """Microseconds by constants, printed and returned."""
    with ThreadPoolExecutor(8) as pool:
        variants = list(pool.map(Variant, [*PROJECTION, *ATTENTION]))
    found: dict[str, Any] = {}
    for batch in (1, 16):
        for rivals in (ProjectionRivals(batch), AttentionRivals(batch, "float16")):
            ours = next(iter(rivals.subjects().values()))
            subjects = {}
            for variant in variants:
                if variant.is_projection == isinstance(rivals, ProjectionRivals):
                    subjects[str(variant.chosen)] = _with(rivals, variant, ours)
            print(f"\n{rivals.title}, batch {batch}")
            found[f"{rivals.title}, batch {batch}"] = times = timed(subjects, len(rivals.sets))
            for name, microseconds in sorted(times.items(), key=lambda item: item[1]):
                print(f"  {microseconds:9.2f} us  {name}", flush=True)
    return found


def _with(rivals: Any, variant: Variant, ours: Any) -> Any:
    def work(i: int) -> Any:
        rivals.run = variant
        return ours(i)

    return work
