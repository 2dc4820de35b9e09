"""Tensors that lie in one piece of memory: a copy takes longer to begin than to bring some kilobytes."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from detrt.runtime.base import Array
from detrt.runtime.device import DeviceArray
from detrt.runtime.gpu import Gpu

_ALIGNED = 256
"""Where a tensor begins, as memory does that is allocated for it alone."""


class DeviceBlock:
    """Device memory for tensors of some shapes and types.

    Attributes:
        tensors: by name.
    """

    def __init__(self, gpu: Gpu, wanted: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
        starts, end = {}, 0
        for name, (shape, dtype) in wanted.items():
            starts[name] = end
            end += -(-DeviceArray(0, shape, dtype).nbytes // _ALIGNED) * _ALIGNED
        self._memory = gpu.allocate(end)
        base = self._memory.pointer
        self.tensors = {name: DeviceArray(base + starts[name], *wanted[name]) for name in wanted}

    def close(self) -> None:
        """Free it."""
        self._memory.close()


class PinnedCopy:
    """The host's copy of the tensors of a block.

    Attributes:
        arrays: by name.
    """

    def __init__(self, gpu: Gpu, tensors: Mapping[str, DeviceArray]) -> None:
        self._gpu = gpu
        self._source = min(tensor.pointer for tensor in tensors.values())
        end = max(tensor.pointer + tensor.nbytes for tensor in tensors.values())
        self._memory = gpu.pin(end - self._source)
        ahead = self._memory.pointer - self._source
        self.arrays = {
            name: view(tensor.pointer + ahead, tensor.shape, tensor.dtype) for name, tensor in tensors.items()
        }

    def fetch(self, stream: int) -> None:
        """Enqueue the copy from the device."""
        self._gpu.copy(self._memory.pointer, self._source, self._memory.nbytes, stream)

    def close(self) -> None:
        """Free it."""
        self.arrays.clear()
        self._memory.close()


def view(pointer: int, shape: tuple[int, ...], dtype: str | np.dtype[Any]) -> Array:
    """Host memory as an array; it owns nothing."""
    kind = np.dtype(dtype)
    raw = memoryview((ctypes.c_byte * (math.prod(shape) * kind.itemsize)).from_address(pointer))
    array: Array = np.frombuffer(raw, kind).reshape(shape)
    return array
