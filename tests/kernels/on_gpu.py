"""The kernels on the GPU, as the test cases start them: by NVRTC and the driver, or through the C interface."""

from __future__ import annotations

import ctypes

import torch

from detrt.kernels.launch import Launch, Launcher


class ByName:
    """A file of kernels, compiled here by NVRTC."""

    def __init__(self, file: str) -> None:
        major, minor = torch.cuda.get_device_capability()
        torch.zeros(1, device="cuda")  # makes the context
        self._launcher = Launcher(file, f"{major}.{minor}")

    def __call__(self, launch: Launch, problem: ctypes.Structure) -> None:
        self._launcher(launch, problem, torch.cuda.current_stream().cuda_stream)


class ByC:
    """A function of the C interface; the launch that Python would have chosen is not used."""

    def __init__(self, library: ctypes.CDLL, function: str) -> None:
        self._function = getattr(library, function)
        self._function.argtypes = (ctypes.c_void_p, ctypes.c_void_p)

    def __call__(self, launch: Launch, problem: ctypes.Structure) -> None:
        assert self.status(problem) == 0, self.status(problem)

    def status(self, problem: ctypes.Structure) -> int:
        """A `cudaError_t`."""
        return int(self._function(ctypes.addressof(problem), torch.cuda.current_stream().cuda_stream))
