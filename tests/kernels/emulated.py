"""A kernel's own source, compiled for the CPU, and run there warp by warp."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from detrt.kernels import compiled
from detrt.kernels.launch import Launch

HERE = Path(__file__).parent / "on_cpu"


class Index(ctypes.Structure):
    _fields_ = (("x", ctypes.c_uint), ("y", ctypes.c_uint), ("z", ctypes.c_uint))


class Emulated:
    """The kernels of a file, launched as on a GPU."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def __call__(self, launch: Launch, problem: ctypes.Structure) -> None:
        kernel = getattr(self.library, launch.function)
        self.library.run(kernel, Index(*launch.grid), launch.threads, ctypes.byref(problem))


def emulated(name: str, problem: str, facts: str, folder: Path) -> Emulated:
    """Compile a file of kernels.

    Args:
        name: of the file, without .cu.
        problem: the C struct that its kernels take.
        facts: C++ integers to be asked for with `fact`, `sizeof(...), ...`.
        folder: an empty one.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++ here")
    for header, text in compiled.headers_here().items():
        (folder / header.decode()).write_bytes(text)
    for stand_in in HERE.iterdir():
        shutil.copy(stand_in, folder)
    source = folder / "kernel.cpp"
    source.write_text(f"""
        #include "warps.h"
        {compiled.source_of(name)}
        extern "C" void run(void (*kernel)({problem}), Index grid, unsigned threads, const {problem}* problem) {{
            warps::run(grid, threads, [=] {{ kernel(*problem); }});
        }}
        extern "C" int fact(int number) {{
            const int facts[] = {{{facts}}};
            return facts[number];
        }}
        """)
    library = folder / "kernel.so"
    command = [
        compiler,
        "-std=c++20",
        "-O1",
        "-march=native",
        "-ffp-contract=off",
        "-U_FORTIFY_SOURCE",
        "-shared",
        "-fPIC",
    ]
    subprocess.run([*command, "-o", str(library), str(source)], check=True, timeout=200)
    return Emulated(ctypes.CDLL(str(library)))
