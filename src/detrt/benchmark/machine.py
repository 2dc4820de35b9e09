"""Where a benchmark ran: GPU, driver, clocks, versions. What nobody can tell is left out."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from detrt import __version__

_PACKAGES = ("tensorrt", "tensorrt_rtx", "onnxruntime", "onnxruntime-gpu", "torch", "numpy")
_FIELDS = ("name", "driver_version", "clocks.max.sm", "clocks.max.mem", "power.limit", "compute_cap")


@dataclass(frozen=True)
class Machine:
    """The machine, as text by name: `gpu`, `driver_version`, `cpu`, ..., and versions by package."""

    facts: dict[str, str]
    versions: dict[str, str]

    def __str__(self) -> str:
        """One line for people."""
        return ", ".join([self.facts.get("gpu") or self.facts["cpu"], *(f"{k} {v}" for k, v in self.versions.items())])


def this_machine(device_index: int = 0) -> Machine:
    """Ask the operating system, nvidia-smi where there is one, and the installed packages."""
    facts = {
        "cpu": _cpu_name(),
        "cores": str(_cores()),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    if told := _ask_gpu(",".join(_FIELDS), device_index):
        facts |= dict(zip(("gpu", *_FIELDS[1:]), told, strict=False))
    return Machine(facts, {"detrt": __version__} | _installed())


def _installed() -> dict[str, str]:
    found = {found.name.lower(): found.version for found in metadata.distributions()}
    return {package: found[package] for package in _PACKAGES if package in found}


def gpu_clock(device_index: int = 0) -> Callable[[], int | None]:
    """A function that asks for the present clock of the GPU's processors, in MHz; None where nobody answers."""
    if _ask_gpu("clocks.sm", device_index) is None:
        return lambda: None

    def clock() -> int | None:
        told = _ask_gpu("clocks.sm", device_index)
        return int(told[0]) if told and told[0].isdigit() else None

    return clock


def _ask_gpu(fields: str, index: int) -> list[str] | None:
    query = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits", "-i", str(index)]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return [part.strip() for part in answer.strip().split(",")]


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
