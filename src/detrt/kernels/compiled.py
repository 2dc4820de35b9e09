"""A kernel of this folder, compiled for one GPU by NVRTC, and its launch."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib import resources
from typing import Any

from detrt.errors import EngineError, MissingExtraError
from detrt.extras import require

_PURPOSE = "Running CUDA kernels of detrt"


def source_of(name: str) -> str:
    """The CUDA source of the kernel file `name`.cu."""
    return resources.files(__package__).joinpath(f"{name}.cu").read_text()


@cache
def headers_here() -> dict[bytes, bytes]:
    """What kernel files may include: names and contents of the headers beside them."""
    files = resources.files(__package__).iterdir()
    return {file.name.encode(): file.read_bytes() for file in files if file.name.endswith((".h", ".cuh"))}


@cache
def cubin_of(name: str, capability: str) -> bytes:
    """Machine code of the kernel file `name`.cu for a compute capability such as `9.0`.

    Raises:
        EngineError, MissingExtraError: see `cubin_from`.
    """
    return cubin_from(source_of(name), f"{name}.cu", capability)


def cubin_from(source: str, title: str, capability: str) -> bytes:
    """Machine code of CUDA source for a compute capability; it may include the headers of this folder.

    Raises:
        MissingExtraError: the CUDA bindings or NVRTC are not installed.
        EngineError: the source does not compile for that GPU; with the compiler's log.
    """
    return _compiled(source, title, capability, "CUBIN")


def ptx_from(source: str, title: str, capability: str) -> bytes:
    """The same as PTX, which later GPUs can take as well; a text."""
    return _compiled(source, title, capability, "PTX").rstrip(b"\0")


def _compiled(source: str, title: str, capability: str, form: str) -> bytes:
    nvrtc = require("cuda.bindings.nvrtc", extra="gpu", purpose=_PURPOSE)
    headers = headers_here()
    try:
        status, program = nvrtc.nvrtcCreateProgram(
            source.encode(), title.encode(), len(headers), list(headers.values()), list(headers)
        )
    except RuntimeError as error:  # how the bindings say that libnvrtc is not there
        raise _without_nvrtc(error) from error
    _check(status)
    architecture = {"CUBIN": "sm", "PTX": "compute"}[form] + f"_{capability.replace('.', '')}"
    options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++17"]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    if int(status):
        log = bytearray(_check(*nvrtc.nvrtcGetProgramLogSize(program)))
        nvrtc.nvrtcGetProgramLog(program, log)
        raise EngineError(
            f"{title} does not compile for compute capability {capability}: {log.decode(errors='replace')[:2000]}",
            "Update nvidia-cuda-nvrtc to a version that knows this GPU.",
        )
    code = bytearray(_check(*getattr(nvrtc, f"nvrtcGet{form}Size")(program)))
    getattr(nvrtc, f"nvrtcGet{form}")(program, code)  # fills a bytes-like object in place
    nvrtc.nvrtcDestroyProgram(program)
    return bytes(code)


class Kernel:
    """A function of a cubin, on the GPU that the calling thread uses."""

    def __init__(self, cubin: bytes, function: str) -> None:
        """Load it.

        Raises:
            EngineError: the machine code is for another GPU, or has no such function.
        """
        self._driver = require("cuda.bindings.driver", extra="gpu", purpose=_PURPOSE)
        require("cuda.bindings.runtime", extra="gpu", purpose=_PURPOSE).cudaFree(0)  # makes the context, if none is
        self._module = _check(*self._driver.cuModuleLoadData(cubin))
        self._function = _check(*self._driver.cuModuleGetFunction(self._module, function.encode()))

    def launch(
        self,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: tuple[ctypes.Structure | ctypes._SimpleCData[Any], ...],
        stream: int,
    ) -> None:
        """Enqueue it; the arguments are copied before this returns."""
        addresses = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        _check(*self._driver.cuLaunchKernel(self._function, *grid, *block, 0, stream, ctypes.addressof(addresses), 0))


def _check(status: Any, value: Any = None) -> Any:
    if int(status):
        raise EngineError(
            f"A CUDA call for a kernel failed: {status.name}.",
            "If it happens again, run `nvidia-smi` and restart the process: a GPU fault stays until then.",
        )
    return value


def _without_nvrtc(error: Exception) -> MissingExtraError:
    return MissingExtraError(
        f"{_PURPOSE} needs CUDA's run-time compiler, which cannot be loaded here ({str(error).splitlines()[0]}).",
        "Install it with: pip install 'detrt[gpu]'",
    )
