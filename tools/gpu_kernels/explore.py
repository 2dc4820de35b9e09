"""Other sizes of tiles and blocks than the ones chosen: how long each takes at batch 1 and 16, in one run.

The first of each list is what the sources say.
"""

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
from detrt.kernels.offset_projection import COLUMNS, ROWS

SIZES = (("ROWS", ROWS), ("COLUMNS", COLUMNS))

PROJECTION = [  # a block's rows, its columns, and a warp's columns in eights
    {"ROWS": rows, "COLUMNS": columns, "TILES": tiles}
    for rows, columns, tiles in ((32, 32, 2), (16, 32, 2), (16, 16, 2), (64, 32, 2), (16, 32, 4), (64, 32, 4))
]
ATTENTION = [  # and how many blocks a multiprocessor is to hold at least: fewer registers for each thread
    {"THREADS": threads, "ROWS": rows, "BLOCKS": blocks}
    for threads, rows, blocks in ((128, 4, 8), (64, 4, 16), (256, 4, 4), (128, 2, 8), (128, 4, 10), (128, 4, 6))
]


class Variant:
    """A kernel file with other constants, launched on the grid that goes with them."""

    def __init__(self, chosen: dict[str, int]) -> None:
        self.chosen = chosen
        self.is_projection = "TILES" in chosen
        name = "offset_projection" if self.is_projection else "deformable_attention"
        source = compiled.source_of(name).replace(f'#include "{name}.h"', self._header(name))
        if self.is_projection:
            source = source.replace("kTiles = 2;", f"kTiles = {chosen['TILES']};")
            source = source.replace("512 / DETRT", f"{1024 // chosen['TILES']} / DETRT")  # more to hold, more registers
            source = re.sub(r"^DETRT_KERNEL\((?!int8, float32).*\)$", "", source, flags=re.MULTILINE)
        else:
            source = source.replace("kRows = 4;", f"kRows = {chosen['ROWS']};")
            source = source.replace("kBlocks = 8;", f"kBlocks = {chosen['BLOCKS']};")
            source = re.sub(r"^DETRT_KERNELS\((?!(float16|float32), \1).*\)$", "", source, flags=re.MULTILINE)
            source = re.sub(r"^    DETRT_KERNEL\(NUMBER, SAMPLING, narrow.*$", "", source, flags=re.MULTILINE)
        major, minor = torch.cuda.get_device_capability()
        self._cubin = compiled.cubin_from(source, f"{name}.cu", f"{major}.{minor}")
        self._kernels: dict[str, Kernel] = {}

    def __call__(self, launch: Launch, problem: ctypes.Structure) -> None:
        kernel = self._kernels.get(launch.function)
        if kernel is None:
            kernel = self._kernels[launch.function] = Kernel(self._cubin, launch.function)
        if self.is_projection:
            threads = self._projection_threads()
            rows, columns = (-(-launch.grid[i] * size // self.chosen[name]) for i, (name, size) in enumerate(SIZES))
            grid = (rows, columns, 1)  # R18's columns are whole in all sizes
        else:
            threads = self.chosen["THREADS"]
            grid = (-(-launch.grid[0] * THREADS * self.chosen["ROWS"] // 4 // threads), 1, 1)
        fitting = replace(launch, grid=grid, threads=threads)
        stream = torch.cuda.current_stream().cuda_stream
        kernel.launch(fitting.grid, (fitting.threads, 1, 1), (problem,), stream)

    def _projection_threads(self) -> int:
        warps = self.chosen["ROWS"] // 16 * self.chosen["COLUMNS"] // (8 * self.chosen["TILES"])
        return 32 * warps

    def _header(self, name: str) -> str:
        text = compiled.headers_here()[f"{name}.h".encode()].decode()
        if self.is_projection:
            for constant, size in SIZES:
                text = text.replace(f"PROJECTION_{constant} {size}", f"PROJECTION_{constant} {self.chosen[constant]}")
            return text.replace("PROJECTION_THREADS 128", f"PROJECTION_THREADS {self._projection_threads()}")
        return text.replace("ATTENTION_THREADS 128", f"ATTENTION_THREADS {self.chosen['THREADS']}")


def explore() -> dict[str, Any]:
    """Microseconds by constants, printed and returned."""
    with ThreadPoolExecutor(8) as pool:
        variants = list(pool.map(Variant, [*PROJECTION, *ATTENTION]))
    found: dict[str, Any] = {}
    for batch in (1, 16):
        for rivals in (ProjectionRivals(batch), AttentionRivals(batch, "float16"), AttentionRivals(batch, "float32")):
            ours = next(iter(rivals.subjects(quick=True).values()))
            subjects = {}
            for variant in variants:
                if variant.is_projection == isinstance(rivals, ProjectionRivals):
                    subjects[str(variant.chosen)] = _with(rivals, variant, ours)
            print(f"\n{rivals.title}, batch {batch}")
            first, *others = (work(0).clone() for work in subjects.values())
            for name, made in zip(list(subjects)[1:], others, strict=True):
                if not torch.allclose(made, first, rtol=2e-3, atol=2e-3):
                    print(f"  WRONG: {name}")
            found[f"{rivals.title}, batch {batch}"] = times = timed(subjects, len(rivals.sets))
            for name, microseconds in sorted(times.items(), key=lambda item: item[1]):
                print(f"  {microseconds:9.2f} us  {name}", flush=True)
    return found


def _with(rivals: Any, variant: Variant, ours: Any) -> Any:
    def work(i: int) -> Any:
        rivals.run = variant
        return ours(i)

    return work
