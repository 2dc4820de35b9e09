"""The NVIDIA GPUs of this machine, without loading CUDA into this process."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from detrt.runtime.isolated import ask, last_line

Capability = tuple[int, int]


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU; memory in MiB."""

    name: str
    capability: Capability
    driver: str
    memory: int


def gpus_of_this_machine(*, seconds: float) -> tuple[tuple[Gpu, ...], str]:
    """The GPUs in the driver's order, and why there is none; asks nvidia-smi, or the driver where that is missing."""
    query = ["nvidia-smi", "--query-gpu=name,compute_cap,driver_version,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=seconds, check=True)
        return gpus_from_csv(done.stdout), ""
    except FileNotFoundError:
        reason = "there is no nvidia-smi"
    except subprocess.TimeoutExpired:
        return (), f"nvidia-smi gave no answer within {seconds:g} s"
    except subprocess.CalledProcessError as error:
        reason = last_line(error.stdout or error.stderr) or f"nvidia-smi ended with {error.returncode}"
    except ValueError as error:
        reason = f"nvidia-smi cannot be understood ({error})"
    answer = ask(_ASK_DRIVER, seconds=seconds)
    if answer.version is None or not isinstance(answer.detail, list):
        return (), f"{reason}, and the driver cannot be asked: {answer.detail}"
    gpus = tuple(Gpu(name, (major, minor), driver, memory) for name, (major, minor), driver, memory in answer.detail)
    return gpus, "" if gpus else "the driver lists none"


def gpus_from_csv(text: str) -> tuple[Gpu, ...]:
    """What nvidia-smi prints for name, compute_cap, driver_version, memory.total."""
    return tuple(_gpu_of(line) for line in text.splitlines() if line.strip())


def _gpu_of(line: str) -> Gpu:
    name, capability, driver, memory = (part.strip() for part in line.rsplit(",", 3))
    major, _, minor = capability.partition(".")
    return Gpu(name, (int(major), int(minor)), driver, int(memory))


_ASK_DRIVER = """
from cuda.bindings import driver as d
def ok(call):
    assert call[0] == 0, call[0].name
    return call[1] if len(call) == 2 else call[1:]
A = d.CUdevice_attribute
ok(d.cuInit(0) + (None,))
code = ok(d.cuDriverGetVersion())
rows = []
for i in range(ok(d.cuDeviceGetCount())):
    g = ok(d.cuDeviceGet(i))
    capability = [ok(d.cuDeviceGetAttribute(getattr(A, 'CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_' + k), g))
                  for k in ('MAJOR', 'MINOR')]
    name = ok(d.cuDeviceGetName(128, g)).split(b'\\0')[0].decode()
    rows.append([name, capability, f'CUDA {code // 1000}.{code % 1000 // 10}', ok(d.cuDeviceTotalMem(g)) >> 20])
version, detail = '', rows
"""
