"""The optional device path of a runtime: tensors that stay on the GPU, on a stream that the caller may choose."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from detrt.errors import ModelError
from detrt.runtime.base import Runtime
from detrt.runtime.gpu import Graph
from detrt.signature import TensorSpec


@dataclass(frozen=True)
class DeviceArray:
    """A dense row-major tensor in device memory that somebody else owns.

    PyTorch (`torch.as_tensor`), CuPy (`cupy.asarray`) and Numba take it as it is, without a copy; `device_array`
    makes one of theirs.
    """

    pointer: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """The CUDA array interface, version 3 (Numba's specification), which other libraries read."""
        return {
            "version": 3,
            "data": (self.pointer, False),
            "shape": self.shape,
            "typestr": np.dtype(self.dtype).str,
            "strides": None,
            "stream": None,
        }


class OnDevice(Protocol):
    """What a GPU tensor of PyTorch, CuPy, Numba or detrt has in common."""

    @property
    def __cuda_array_interface__(self) -> Mapping[str, Any]: ...


def device_array(tensor: OnDevice) -> DeviceArray:
    """Look at somebody's GPU tensor as a DeviceArray; nothing is copied, so the tensor must stay alive.

    Raises:
        ModelError: it is not contiguous.
    """
    if isinstance(tensor, DeviceArray):
        return tensor
    told = tensor.__cuda_array_interface__
    array = DeviceArray(int(told["data"][0]), tuple(told["shape"]), np.dtype(told["typestr"]).name)
    dense = tuple(np.dtype(array.dtype).itemsize * int(np.prod(array.shape[i + 1 :])) for i in range(len(array.shape)))
    if told.get("strides") not in (None, dense):
        raise ModelError(
            f"A device tensor of shape {array.shape} has strides {told['strides']}, not {dense}.",
            "Make it contiguous first.",
        )
    return array


class DeviceSession(Protocol):
    """One place to run a model on the device: its own context, stream and buffers. Belongs to one thread at a time.

    A caller that times a model, or that makes the network's input on the GPU itself, works with a session:

        with runtime.session() as session:
            session.shape({"images": (1, 3, 640, 640), "orig_target_sizes": (1, 2)})
            session.upload({"images": pixels, "orig_target_sizes": sizes})  # or write into session.inputs directly
            session.launch()
            session.synchronize()
    """

    @property
    def stream(self) -> int:
        """Handle (`cudaStream_t`) of the session's own non-blocking stream."""
        ...

    @property
    def turn(self) -> AbstractContextManager[None]:
        """Within, the session may shape itself and enqueue runs, on its own stream, beside others of the engine.

        Where runs of an engine must not overlap, sessions take turns, for which they wait; see `turns`. A session that
        is the only one, or whose user sees to that otherwise, needs none.
        """
        ...

    @property
    def inputs(self) -> Mapping[str, DeviceArray]:
        """The input buffers at the current shape; their addresses stay the same as long as the session lives."""
        ...

    @property
    def outputs(self) -> Mapping[str, DeviceArray]:
        """The output buffers at the current shape, in one piece of memory; the next launch overwrites them."""
        ...

    def shape(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Choose the inputs' shapes, and make ready to run at them: warm up and, where it helps, capture a CUDA graph.

        Raises:
            ModelError: the model does not take these shapes.
        """
        ...

    def upload(self, feeds: Mapping[str, npt.NDArray[Any]], *, stream: int | None = None) -> None:
        """Copy host arrays of the current shape into `inputs`, and wait until they are there."""
        ...

    def launch(self, *, stream: int | None = None) -> None:
        """Enqueue one run from `inputs` to `outputs` on `stream` (own stream where None) and return at once."""
        ...

    def within(self, before: Callable[[int], None], after: Callable[[int], None]) -> Graph:
        """A run at the current shape with what a caller enqueues before and after it, as one CUDA graph if it can be.

        To be launched on the session's stream, again and again; closed by the caller, before the session is.

        Args:
            before: enqueues, on the stream that it is given, what fills `inputs`. Called once, or at every launch where
                there can be no graph: addresses stay the same, what lies there may change from launch to launch.
            after: likewise, what takes `outputs` away.
        """
        ...

    def enqueue(self, feeds: Mapping[str, OnDevice], *, stream: int | None = None) -> Mapping[str, DeviceArray]:
        """Enqueue a run on somebody's device tensors, shaping the session after them; returns `outputs`.

        Everything is enqueued on `stream`: what the caller enqueued there before is done first, and what the caller
        enqueues there afterwards sees the outputs. A tensor that is not one of `inputs` is copied into it.

        Raises:
            ModelError: a feed is missing or has a shape or dtype that the model does not take.
        """
        ...

    def download(self, *, stream: int | None = None) -> dict[str, npt.NDArray[Any]]:
        """Wait for the stream and return the outputs as host arrays that the caller owns."""
        ...

    def synchronize(self) -> None:
        """Wait until the session's own stream is idle."""
        ...

    def close(self) -> None:
        """Give the session back. Nothing else may be called afterwards."""
        ...

    def __enter__(self) -> DeviceSession: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class DeviceRuntime(Runtime, Protocol):
    """A runtime whose tensors can stay on the device."""

    def session(self, *, graph: bool | None = None) -> DeviceSession:
        """A session of its own; several of them run side by side, each on its own stream.

        Args:
            graph: launch through a CUDA graph captured per shape; False launches kernel by kernel; None does what the
                runtime was opened for.
        """
        ...


def check_feeds(inputs: tuple[TensorSpec, ...], given: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
    """Hold feeds, as shape and dtype by name, against what a model takes.

    Raises:
        ModelError: one is missing, unknown, or of another dtype or shape.
    """
    if len(given) == len(inputs) and all(
        spec.name in given and given[spec.name][1] == spec.dtype and _fits(given[spec.name][0], spec.shape)
        for spec in inputs
    ):
        return
    told = ", ".join(f"{name} {dtype} {shape}" for name, (shape, dtype) in given.items()) or "nothing"
    raise ModelError(
        f"The model was fed {told}.", f"It takes {', '.join(map(str, inputs))}, each as a dense array of that type."
    )


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        want is None or want == have for want, have in zip(wanted, shape, strict=True)
    )
