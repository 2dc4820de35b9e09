"""The network's input from photos in device memory: one launch for a batch of any sizes."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from detrt.contract import ModelContract
from detrt.errors import ModelError
from detrt.images.resize import Placement
from detrt.kernels.compiled import Kernel, cubin_of
from detrt.runtime.device import DeviceArray

PHOTO = np.dtype(
    [("pixels", "u8"), ("pitch", "i4")]
    + [(name, "i4") for name in ("height", "width", "top", "left", "rows", "columns", "unused")]
)
"""`detrt::Photo` of the kernel."""

_RECORD = struct.Struct("=Q8i")
"""The same; writing one so takes a tenth of the time."""

TILE = (32, 16)
"""Columns and rows of the input that one block of the kernel makes."""

MOST = 1 << 30
"""Along each axis, photo pixels times the input's pixels stay below this: the kernel counts in 32 bits."""


@dataclass(frozen=True)
class PhotoOnDevice:
    """Interleaved 8-bit RGB in device memory, and where it goes."""

    pointer: int
    pitch: int
    placement: Placement


class EnqueuesPreprocessing(Protocol):
    """What makes a batch's input on a stream: the kernel, or a stand-in for it where there is no GPU."""

    def __call__(self, photos: int, count: int, target: DeviceArray, stream: int) -> None: ...


class FusedPreprocessing:
    """Resize, pad, scale, reorder and cast in one kernel, by the contract."""

    def __init__(self, contract: ModelContract, dtype: str, capability: str) -> None:
        """Compile for the GPU that this thread uses.

        Args:
            contract: the rule.
            dtype: of the network's input.
            capability: of the GPU, `9.0`.

        Raises:
            ModelError: the network takes neither float32 nor float16.
            EngineError, MissingExtraError: see `cubin_of`.
        """
        if dtype not in ("float32", "float16"):
            raise ModelError(f"The network's input is {dtype}.", "The GPU preprocessing makes float32 and float16.")
        self._kernel = Kernel(cubin_of("preprocess", capability), f"detrt_preprocess_{dtype}")
        self._rule = rule_of(contract)

    def __call__(self, photos: int, count: int, target: DeviceArray, stream: int) -> None:
        """Enqueue: `photos` is the device address of `count` records of `PHOTO`, `target` (count, 3, h, w)."""
        height, width = target.shape[2:]
        grid = (-(-width // TILE[0]), -(-height // TILE[1]), count)
        arguments = (
            ctypes.c_void_p(photos),
            ctypes.c_void_p(target.pointer),
            ctypes.c_int(height),
            ctypes.c_int(width),
            self._rule,
        )
        self._kernel.launch(grid, (*TILE, 1), arguments, stream)


class Rule(ctypes.Structure):
    """`detrt::Rule` of the kernel."""

    _fields_ = (
        ("factor", ctypes.c_float * 3),
        ("shift", ctypes.c_float * 3),
        ("reversed", ctypes.c_int),
        ("antialias", ctypes.c_int),
        ("pad", ctypes.c_int),
    )


def rule_of(contract: ModelContract) -> Rule:
    """The contract as the kernel takes it."""
    std = np.asarray(contract.std, np.float64)
    factor = (contract.scale / std).astype(np.float32)
    shift = (-np.asarray(contract.mean, np.float64) / std).astype(np.float32)
    return Rule(
        (ctypes.c_float * 3)(*factor.tolist()),
        (ctypes.c_float * 3)(*shift.tolist()),
        contract.color == "BGR",
        contract.resize.antialias,
        contract.resize.pad,
    )


def describe(photos: Sequence[PhotoOnDevice | None], table: npt.NDArray[np.void]) -> None:
    """Write the kernel's records of `photos` into `table`; one that is None leaves its row of the batch blank."""
    for number, photo in enumerate(photos):
        _RECORD.pack_into(table.data, number * PHOTO.itemsize, *_record(photo))


def fits_kernel(placement: Placement) -> bool:
    """Whether the kernel can count that far: all but absurdly long strips."""
    return all(side * size < MOST for side, size in zip(placement.photo, placement.size, strict=True))


def _record(photo: PhotoOnDevice | None) -> tuple[int, ...]:
    if photo is None:
        return (0,) * 9
    place = photo.placement
    return (photo.pointer, photo.pitch, *place.photo, place.top, place.left, *place.size, 0)
