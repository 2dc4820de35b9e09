"""What compilers make of the kernels here: nvcc a library with their C interface and a program on it, NVRTC cubins."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from importlib import resources
from pathlib import Path

import torch

from detrt.kernels.compiled import cubin_of

HERE = Path(__file__).parent
KERNELS = Path(str(resources.files("detrt.kernels")))
FILES = ("offset_projection.cu", "deformable_attention.cu")


class Builds:
    """Starts all compilers at once; whoever needs a result of nvcc waits for it. NVRTC is waited for here."""

    def __init__(self, folder: Path, nvcc: bool) -> None:
        """Of nvcc, nothing without `nvcc`."""
        major, minor = torch.cuda.get_device_capability()
        common = ["nvcc", "-std=c++17", f"-arch=sm_{major}{minor}", "-lineinfo", f"-I{KERNELS}"]
        sources = [str(KERNELS / file) for file in FILES]
        self._library, self._program = folder / "kernels.so", folder / "sanitized"
        self._running = (
            {}
            if not nvcc
            else {
                self._library: subprocess.Popen(
                    [*common, "-shared", "-Xcompiler", "-fPIC", "-cudart", "shared", "-o", str(self._library), *sources]
                ),
                self._program: subprocess.Popen(
                    [*common, "-o", str(self._program), str(HERE / "sanitized.cu"), *sources]
                ),
            }
        )

        with ThreadPoolExecutor() as pool:  # cubin_of remembers
            list(pool.map(lambda file: cubin_of(file.removesuffix(".cu"), f"{major}.{minor}"), FILES))

    @cached_property
    def library(self) -> Path:
        return self._made(self._library)

    @cached_property
    def program(self) -> Path:
        return self._made(self._program)

    def _made(self, target: Path) -> Path:
        if self._running[target].wait():
            raise RuntimeError(f"nvcc could not make {target.name}; it says above why.")
        return target
