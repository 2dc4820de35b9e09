"""The C++ plugin library, built from the sources that come with this package."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from detrt.errors import EngineError
from detrt.files import whole
from detrt.progress import Progress, silent

NATIVE = Path(__file__).with_name("native")
STEPS = ("looking around", "compiling")
_CUDA_PLACES = ("/usr/local/cuda", "/opt/cuda")


@dataclass(frozen=True)
class BuildRequest:
    """How to build.

    Attributes:
        tensorrt: folder with `include/NvInfer.h`; the system's and `TENSORRT_ROOT`'s where it is left out.
        architectures: compute capabilities such as `86`, or `native`; all that the compiler knows where there are none.
        interface: `v3` for TensorRT 10 and later, `v2` for 8.6 to 10; what the version has where it is left out.
    """

    tensorrt: Path | None = None
    architectures: tuple[str, ...] = ()
    interface: Literal["v3", "v2"] | None = None


@dataclass(frozen=True)
class Built:
    """What was built: the library, for which version of TensorRT, through which interface."""

    library: Path
    tensorrt: str
    interface: str


def build_plugins(output: Path, request: BuildRequest | None = None, *, progress: Progress = silent) -> Built:
    """Compile the plugin library and write it to `output`.

    Raises:
        EngineError: CMake, a compiler or TensorRT's headers are missing, or it does not compile; says which.
    """
    request = request or BuildRequest()
    progress(STEPS[0], 0, len(STEPS))
    chosen = _options(request)
    cmake, chosen["CMAKE_CUDA_COMPILER"] = _tool("cmake"), str(_nvcc())
    options = [f"-D{name}={value}" for name, value in chosen.items()]
    by_hand = f"cmake -S {shlex.quote(str(NATIVE))} -B build {shlex.join(options)} && cmake --build build"
    with tempfile.TemporaryDirectory(prefix="detrt-plugins-") as folder:
        told = _run([cmake, "-S", str(NATIVE), "-B", folder, *options], by_hand)
        progress(STEPS[1], 1, len(STEPS))
        _run([cmake, "--build", folder, "--parallel"], by_hand)
        progress(STEPS[1], 2, len(STEPS))
        library = Path(folder, "libdetrt_plugins.so")
        if not library.is_file():
            raise _without_headers(request.tensorrt)
        with whole(output) as part:
            shutil.copyfile(library, part)
    found = re.search(r"plugins \((v\d)\) for TensorRT ([\d.]+)", told)
    interface, version = found.groups() if found else ("", "")
    return Built(output, version, interface)


def _options(request: BuildRequest) -> dict[str, str]:
    options = {}
    if request.tensorrt is not None:
        root = request.tensorrt.expanduser().resolve()
        if not (root / "include" / "NvInfer.h").is_file():
            raise EngineError(f"There is no {root / 'include' / 'NvInfer.h'}.", _WHERE_HEADERS)
        options["TENSORRT_ROOT"] = str(root)
    if request.architectures:
        options["CMAKE_CUDA_ARCHITECTURES"] = ";".join(request.architectures)
    if request.interface:
        options["DETRT_PLUGIN_INTERFACE"] = request.interface
    return options


def _run(command: list[str], by_hand: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if not done.returncode:
        return done.stdout
    ours = re.search(r"^\s+detrt: (.+?)\n\s*\n", done.stdout, re.MULTILINE | re.DOTALL)
    if ours:  # CMakeLists.txt has two sentences for it: what is wrong, and what to do
        problem, _, remedy = " ".join(ours.group(1).split()).partition(". ")
        raise EngineError(f"{problem}.", remedy)
    errors = [line.strip() for line in done.stdout.splitlines() if re.search(r"\b(error|fatal)\s*:", line)]
    said = "; ".join(errors[:3]) or " ".join(done.stdout.split())[-300:]
    raise EngineError(f"The plugins do not compile: {said}.", f"To see all that is said: {by_hand}")


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise EngineError(f"There is no {name} here.", f"Install it, for example: pip install {name}")
    return found


def _nvcc() -> Path:
    places = [shutil.which("nvcc"), *(f"{place}/bin/nvcc" for place in _CUDA_PLACES)]
    for place in places:
        if place and Path(place).is_file():
            return Path(place).resolve()
    raise EngineError(
        "There is no nvcc here, which compiles the plugins' kernels.",
        "Install NVIDIA's CUDA toolkit (12 or later), or use the plugins in Python, which need no compiler: "
        "docs/plugins.md.",
    )


_WHERE_HEADERS = (
    "Give a folder that holds include/NvInfer.h: --tensorrt-root DIR. The headers of every version are public: "
    "git clone --depth 1 --branch release/10.13 https://github.com/NVIDIA/TensorRT"
)


def _without_headers(root: Path | None) -> EngineError:
    where = f"in {root}" if root else "on this system"
    return EngineError(
        f"The kernels compile, but TensorRT's headers are not {where}, which the plugins around them need.",
        _WHERE_HEADERS,
    )
