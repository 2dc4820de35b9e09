"""What a plugin computes, free of TensorRT: its three Python interfaces all wrap one of these.

The twin of native/src/operation.h. Nothing here imports TensorRT, so the launch can be tried where there is none.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from detrt.errors import ModelError
from detrt.extras import require
from detrt.kernels.launch import Element, Launch, Launcher
from detrt.runtime import cuda

NAMESPACE, VERSION = "detrt", "1"

Array = npt.NDArray[Any]
Fields = Mapping[str, Array]
"""The attributes of a node by name: what the ONNX parser hands over, and what is serialised."""


@dataclass(frozen=True)
class View:
    """A tensor in GPU memory: its address, its shape, what its numbers are."""

    address: int
    shape: tuple[int, ...]
    element: Element


class Operation(Protocol):
    """A node's function with its weights; clones and execution contexts of a plugin share one."""

    name: ClassVar[str]
    input_count: ClassVar[int]
    output_count: ClassVar[int]
    field_types: ClassVar[Mapping[str, npt.DTypeLike]]
    fields: Fields

    @classmethod
    def from_fields(cls, fields: Fields) -> Operation:
        """Make it.

        Raises:
            ModelError: a field is missing, or does not fit the others.
        """
        ...

    def output_shapes(self, inputs: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """Axes of the outputs from those of the inputs: numbers, or whatever stands for them; new ones are int."""
        ...

    def output_elements(self, inputs: Sequence[Element]) -> list[Element]:
        """Of the outputs, where the network leaves it to the plugin."""
        ...

    def takes(self, elements: Sequence[Element]) -> bool:
        """Whether the last of these tensors, inputs first, may be what it is beside those before it."""
        ...

    def prepare(self) -> None:
        """Bring the weights onto the current GPU, the first time. Never while a graph is captured."""
        ...

    def enqueue(self, inputs: Sequence[View], outputs: Sequence[View], stream: int) -> None:
        """Launch on the stream. Allocates nothing and waits for nothing once prepared.

        Raises:
            ModelError: the shapes contradict each other.
            EngineError, MissingExtraError: the kernel cannot be compiled or launched here.
        """
        ...


def field(fields: Fields, name: str) -> Array:
    """One field, flat.

    Raises:
        ModelError: it is missing.
    """
    if name not in fields:
        raise ModelError(f"The plugin's field {name} is missing.", "Give the node all attributes of its operator.")
    return np.asarray(fields[name]).reshape(-1)


def launch(file: str, what: Launch, problem: ctypes.Structure, stream: int) -> None:
    """Enqueue a kernel of kernels/`file`.cu on the GPU that the calling thread uses."""
    _launcher(file, current_gpu())(what, problem, stream)


def current_gpu() -> cuda.CudaGpu:
    """The GPU that the calling thread uses, as TensorRT chose it."""
    runtime = require("cuda.bindings.runtime", extra="gpu", purpose="Running a TensorRT plugin in Python")
    return _gpu(int(runtime.cudaGetDevice()[1]))


@cache
def _gpu(index: int) -> cuda.CudaGpu:
    return cuda.gpu(f"cuda:{index}")


@cache  # one for each GPU: a module belongs to a context
def _launcher(file: str, gpu: cuda.CudaGpu) -> Launcher:
    return Launcher(file, gpu.capability)
