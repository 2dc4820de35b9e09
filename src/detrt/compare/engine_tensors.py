"""Debug tensors of a live engine: what TensorRT shows of the inside while it runs."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from detrt.compare.unfused import onnx_names
from detrt.engine.flavour import Flavour
from detrt.errors import EngineError
from detrt.profile.inspector_json import layers_from_json
from detrt.runtime.base import Array
from detrt.runtime.engine_session import EngineSession
from detrt.runtime.gpu import Gpu
from detrt.runtime.watched_engine import watched

_NUMPY = {
    "FLOAT": "float32", "HALF": "float16", "BF16": "uint16", "INT32": "int32", "INT64": "int64", "BOOL": "bool",
}  # fmt: skip


class EngineTensors:
    """Outputs and debug tensors of an engine, a `TensorSource`.

    An engine has debug tensors where it was built with `BuildOptions(debug_tensors=...)`. They are no outputs: nobody
    has to bind them, and they cost nothing until somebody listens. Marking one keeps TensorRT from fusing across it, as
    an output does; the unfused ones change nothing, but there are only those that fusion left.
    """

    def __init__(self, session: EngineSession, names: Mapping[str, str], shown: dict[str, Array]) -> None:
        """Of a session that is listened to.

        Args:
            session: runs the engine.
            names: from the engine's name of each debug tensor to ONNX's.
            shown: filled by the listener, under the engine's names.
        """
        self._session, self._shown, self._onnx = session, shown, names
        self._names = {*names.values(), *session.outputs}

    def those_of(self, names: Iterable[str]) -> list[str]:
        """See `TensorSource`."""
        return [name for name in names if name in self._names]

    def read(self, feeds: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
        """See `TensorSource`.

        Raises:
            EngineError: the engine has debug tensors but tells of none (TensorRT-RTX 1.6, of those that have names).
        """
        self._shown.clear()
        outputs = self._session.run(feeds)
        if self._onnx and not self._shown:
            raise EngineError(
                f"The engine has {len(self._onnx)} debug tensors, but TensorRT told of none while it ran.",
                'Build it with BuildOptions(debug_tensors="unfused"), or from a model with marks: detrt mark.',
            )
        heard = {self._onnx[name]: value for name, value in self._shown.items() if name in self._onnx}
        return {name: value for name, value in (heard | outputs).items() if name in names}


@contextmanager
def engine_tensors(
    engine: Path, candidates: Sequence[str], *, model: onnx.ModelProto | None = None, device: str = "auto"
) -> Iterator[EngineTensors]:
    """Open an engine that shows its debug tensors.

    Args:
        engine: its file.
        candidates: names that may be debug tensors.
        model: what the engine was built from, to find the ONNX names of unfused tensors.
        device: `auto`, `cuda` or `cuda:N`.

    Raises:
        EngineError: it cannot run here.
    """
    shown: dict[str, Array] = {}

    def listen(context: Any, flavour: Flavour, gpu: Gpu) -> object:
        listener = _listener(flavour, gpu, shown)
        context.set_debug_listener(listener)
        context.set_all_tensors_debug_state(True)
        if not any(context.engine.is_debug_tensor(name) for name in candidates):
            context.unfused_tensors_debug_state = True
        return listener

    with watched(engine, listen, device=device) as (loaded, session):
        names = {name: name for name in loaded.debug_tensors(candidates)}
        if not names and model is not None:
            names = onnx_names(layers_from_json(loaded.inspect()), model)
        yield EngineTensors(session, names, shown)


def _listener(flavour: Flavour, gpu: Gpu, shown: dict[str, Array]) -> object:
    trt: Any = flavour.trt

    def init(native: Any) -> None:
        trt.IDebugListener.__init__(native)

    def process(native: Any, address: Any, location: Any, kind: Any, shape: Any, name: str, stream: int) -> bool:
        if kind.name not in _NUMPY:
            return True  # codes of four or eight bits, which mean nothing without their scales
        dtype = np.dtype(_NUMPY[kind.name])
        array = np.empty(tuple(int(axis) for axis in shape), dtype)
        if array.nbytes:
            pinned = gpu.pin(array.nbytes)
            gpu.copy(pinned.pointer, _pointer(address), array.nbytes, int(stream))
            gpu.synchronize(int(stream))
            raw = memoryview((ctypes.c_byte * array.nbytes).from_address(pinned.pointer))
            array = np.frombuffer(raw, dtype).reshape(array.shape).copy()
            pinned.close()
        shown[name] = (array.astype(np.uint32) << 16).view(np.float32) if kind.name == "BF16" else array
        return True

    members = {"__init__": init, "process_debug_tensor": process}
    return type("TensorListener", (trt.IDebugListener,), members)()


def _pointer(address: Any) -> int:
    """The address in the capsule that the bindings hand over."""
    if isinstance(address, int):
        return address
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return int(api.PyCapsule_GetPointer(address, api.PyCapsule_GetName(address)) or 0)
