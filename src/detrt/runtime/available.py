"""What of this machine detrt can use: runtimes, GPUs, optional packages."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from detrt.progress import Progress, silent
from detrt.runtime.gpus import Capability, Gpu, gpus_of_this_machine
from detrt.runtime.isolated import ask

Role = Literal["runtime", "extra"]

SECONDS = 60.0

# Turing, Ampere and Ada as TensorRT-RTX supports them officially (8.0 in its late versions only); and all of 12.x.
RTX_CAPABILITIES: tuple[Capability, ...] = ((7, 5), (8, 0), (8, 6), (8, 9))
RTX_REFUSES_HOPPER = (1, 7)  # seen on an H100: 1.4.0 and 1.6.1 load and run there, 1.7.1 builds but will not load


@dataclass(frozen=True)
class Probe:
    """How a package is asked about itself.

    Attributes:
        name: what people call it.
        role: whether it runs models, or brings something beside.
        gives: what detrt can do with it.
        install: how to get it.
        code: Python that sets `version` and `detail`; an exception says that it cannot be used.
    """

    name: str
    role: Role
    gives: str
    install: str
    code: str


@dataclass(frozen=True)
class Package:
    """A package as it was found.

    Attributes:
        name, role, gives, install: see `Probe`.
        version: None where it cannot be used.
        detail: more about it, or why it cannot be used.
    """

    name: str
    role: Role
    gives: str
    install: str
    version: str | None
    detail: str

    @property
    def usable(self) -> bool:
        """Whether it could be imported."""
        return self.version is not None


@dataclass(frozen=True)
class Machine:
    """What is here, and what to know about it.

    Attributes:
        gpus: in the driver's order.
        no_gpu: why there is none; empty where there is one.
        packages: in the order of `PROBES`.
        warnings: what will not work although it is installed.
    """

    gpus: tuple[Gpu, ...]
    no_gpu: str
    packages: tuple[Package, ...]
    warnings: tuple[str, ...]


PROBES = (
    Probe(
        "ONNX Runtime",
        "runtime",
        "runs .onnx",
        "pip install onnxruntime (onnxruntime-gpu for CUDA)",
        "import onnxruntime as m; version = m.__version__\n"
        "detail = ', '.join(p.removesuffix('ExecutionProvider') for p in m.get_available_providers())",
    ),
    Probe(
        "TensorRT",
        "runtime",
        "builds and runs .engine",
        "pip install tensorrt, with NVIDIA's own package index beside the main one",
        "import tensorrt as m; version = m.__version__\nm.Builder(m.Logger(m.Logger.ERROR)); detail = 'builder works'",
    ),
    Probe(
        "TensorRT-RTX",
        "runtime",
        "builds and runs .engine; builds without a GPU",
        "pip install 'detrt[rtx]'",
        "import tensorrt_rtx as m; version = m.__version__\n"
        "m.Builder(m.Logger(m.Logger.ERROR)); detail = 'builder works'",
    ),
    Probe(
        "PyTorch",
        "extra",
        "reads checkpoints, exports ONNX",
        "pip install 'detrt[torch]'",
        "import torch as m; version = m.__version__\n"
        "detail = f'CUDA {m.version.cuda}, ' + ('usable' if m.cuda.is_available() else 'no GPU usable') "
        "if m.version.cuda else 'CPU only'",
    ),
    Probe(
        "CUDA Python",
        "extra",
        "device buffers and CUDA graphs",
        "pip install 'detrt[rtx]'",
        "import cuda.bindings as m; from cuda.bindings import driver; version = m.__version__; detail = ''",
    ),
    Probe(
        "ModelOpt",
        "extra",
        "quantises by its own recipes",
        "pip install 'detrt[quantize]'",
        "from importlib.metadata import version as of; version = of('nvidia-modelopt'); detail = ''",
    ),
    Probe(
        "PyAV",
        "extra",
        "reads videos",
        "pip install 'detrt[video]'",
        "import av as m; version = m.__version__; detail = ''",
    ),
    Probe(
        "Matplotlib",
        "extra",
        "draws charts",
        "pip install 'detrt[plot]'",
        "import matplotlib as m; version = m.__version__; detail = ''",
    ),
)


def machine(probes: Sequence[Probe] = PROBES, *, seconds: float = SECONDS, progress: Progress = silent) -> Machine:
    """Look at this machine; takes as long as the slowest package takes to import, and `seconds` at most."""
    packages: list[Package] = []
    with ThreadPoolExecutor(max_workers=4) as pool:
        asked = pool.submit(gpus_of_this_machine, seconds=seconds)
        for package in pool.map(lambda probe: examine(probe, seconds=seconds), probes):
            packages.append(package)
            progress("Looking at packages", len(packages), len(probes))
        gpus, no_gpu = asked.result()
    return Machine(gpus, no_gpu, tuple(packages), warnings_for(gpus, packages))


def examine(probe: Probe, *, seconds: float = SECONDS) -> Package:
    """Ask one package, surviving whatever it does to its process."""
    answer = ask(probe.code, seconds=seconds)
    return Package(probe.name, probe.role, probe.gives, probe.install, answer.version, str(answer.detail))


def warnings_for(gpus: Sequence[Gpu], packages: Sequence[Package]) -> tuple[str, ...]:
    """What is installed but does not fit what is here."""
    found = {package.name: package for package in packages if package.usable}
    said: list[str] = []
    if rtx := found.get("TensorRT-RTX"):
        release = tuple(int(part) for part in (rtx.version or "").split(".")[:2] if part.isdigit())
        for gpu in gpus:
            if gpu.capability in RTX_CAPABILITIES or gpu.capability[0] == 12:
                continue
            what = f"{gpu.name} (compute capability {_dotted(gpu.capability)}) is not one that TensorRT-RTX supports"
            said.append(
                f"{what}; version {rtx.version} refuses to load engines there. Install tensorrt-rtx<1.7, or TensorRT."
                if gpu.capability == (9, 0) and release >= RTX_REFUSES_HOPPER
                else f"{what}. It may run all the same; check with `detrt eval`."
            )
    runtime = found.get("ONNX Runtime")
    if gpus and runtime and "CUDA" not in runtime.detail:
        said.append("ONNX Runtime is the CPU build, although there is a GPU. For CUDA: pip install onnxruntime-gpu.")
    return tuple(said)


def _dotted(capability: Capability) -> str:
    return f"{capability[0]}.{capability[1]}"
