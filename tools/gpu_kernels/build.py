"""What nvcc makes of the kernels here: a library with their C interface, and a program that uses it."""

from __future__ import annotations

import subprocess
from functools import cached_property
from importlib import resources
from pathlib import Path

import torch

HERE = Path(__file__).parent
KERNELS = Path(str(resources.files("detrt.kernels")))
FILES = ("offset_projection.cu", "deformable_attention.cu")


class Builds:
    """Starts both compilers at once; whoever needs a result waits for it."""

    def __init__(self, folder: Path) -> None:
        major, minor = torch.cuda.get_device_capability()
        common = ["nvcc", "-std=c++17", f"-arch=sm_{major}{minor}", "-lineinfo", f"-I{KERNELS}"]
        sources = [str(KERNELS / file) for file in FILES]
        self._library, self._program = folder / "kernels.so", folder / "sanitized"
        self._running = {
            self._library: subprocess.Popen(
                [*common, "-shared", "-Xcompiler", "-fPIC", "-cudart", "shared", "-o", str(self._library), *sources]
            ),
            self._program: subprocess.Popen([*common, "-o", str(self._program), str(HERE / "sanitized.cu"), *sources]),
        }

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
