"""What it takes to start a kernel of this folder that is called by its C struct, and the one who starts it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from enum import IntEnum

from detrt.kernels.compiled import Kernel, cubin_of


class Element(IntEnum):
    """`DetrtElement` of element.h, by the names that kernels and NumPy (with ml_dtypes) use."""

    float32 = 0
    float16 = 1
    bfloat16 = 2
    int8 = 3


@dataclass(frozen=True)
class Launch:
    """A kernel by the name of its function, how many blocks, and how many threads in each."""

    function: str
    grid: tuple[int, int, int]
    threads: int


class Launcher:
    """The kernels of one file on the GPU that the calling thread uses; compiled at the first one."""

    def __init__(self, file: str, capability: str) -> None:
        """Of the file `file`.cu, for a compute capability such as `9.0`.

        Raises:
            EngineError, MissingExtraError: see `cubin_of`.
        """
        self._cubin = cubin_of(file, capability)
        self._kernels: dict[str, Kernel] = {}

    def __call__(self, launch: Launch, problem: ctypes.Structure, stream: int) -> None:
        """Enqueue on a stream; the struct is copied, what it points to is not."""
        kernel = self._kernels.get(launch.function)
        if kernel is None:
            kernel = self._kernels.setdefault(launch.function, Kernel(self._cubin, launch.function))
        kernel.launch(launch.grid, (launch.threads, 1, 1), (problem,), stream)
