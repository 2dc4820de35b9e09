"""ONNX Runtime: the CPU everywhere, CUDA where the installed build has it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np
import onnxruntime as ort

from detrt.errors import ModelError
from detrt.runtime.base import Array
from detrt.runtime.device_name import chosen_device
from detrt.signature import TensorSpec

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(bfloat16)": "bfloat16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}

_WRONG_OPTIMIZERS = ["ReluQuantRewrite"]
"""It drops a Relu before a quantiser whose zero point is 0, right for uint8 alone: FP8 then keeps the negative values
(seen in 1.32; tests/runtime/test_fp8.py)."""


class OnnxRuntime:
    """An ONNX file in an inference session; `run` is safe from several threads."""

    def __init__(self, model: str | os.PathLike[str] | bytes, *, device: str = "auto", threads: int = 0) -> None:
        """Load a file, or a serialised model.

        Args:
            model: path of an ONNX file, or its bytes.
            device: `auto` takes CUDA where the installed build has it.
            threads: for one operator; 0 lets ONNX Runtime take every core.

        Raises:
            ModelError: the file is damaged or uses what this build does not have, or the device is not there.
        """
        where = "the model in memory" if isinstance(model, bytes) else str(model)
        self.device = _device(device)
        source = self._source = model if isinstance(model, bytes) else str(Path(model))
        self._narrow: OnnxRuntime | None = None
        self._lock = threading.Lock()
        try:
            self._session = _session(source, self.device, threads)
        except Exception as error:  # the bindings raise a dozen types of their own
            raise ModelError(
                f"ONNX Runtime {ort.__version__} cannot load {where}: {_first_line(error)}.",
                "Export or copy the model again; a file that was cut off or a newer opset are the usual causes.",
            ) from error
        self.name = (
            f"ONNX Runtime {ort.__version__} ({self._session.get_providers()[0].removesuffix('ExecutionProvider')})"
        )
        self.inputs = tuple(_spec(argument) for argument in self._session.get_inputs())
        self.outputs = tuple(_spec(argument) for argument in self._session.get_outputs())
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runtime.run`."""
        names = [spec.name for spec in self.outputs]
        try:
            values = self._session.run(names, dict(feeds))
        except Exception as error:
            given = ", ".join(f"{name} {value.dtype} {value.shape}" for name, value in feeds.items())
            wanted = ", ".join(map(str, self.inputs))
            raise ModelError(
                f"ONNX Runtime failed on {given}: {_first_line(error)}.", f"The model takes {wanted}."
            ) from error
        return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}

    def resident(self, feeds: Mapping[str, Array]) -> Callable[[], None]:
        """A call that runs once on copies of `feeds` that lie on the device, and leaves the outputs there.

        It returns when the device is done; what benchmarks time.
        """
        kind, _, index = self.device.partition(":")
        place = (kind, int(index or 0))
        binding = self._session.io_binding()
        for name, value in feeds.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(value, *place))
        for spec in self.outputs:
            binding.bind_output(spec.name, *place)
        return partial(self._session.run_with_iobinding, binding)

    def on_one_core(self) -> OnnxRuntime:
        """See `SplitsByCore`."""
        with self._lock:
            if self._narrow is None:
                self._narrow = OnnxRuntime(self._source, device=self.device, threads=1)
            return self._narrow

    def close(self) -> None:
        """Free the session."""
        if self._narrow:
            self._narrow.close()
        if hasattr(self, "_session"):
            del self._session

    def __enter__(self) -> OnnxRuntime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _session(source: str | bytes, device: str, threads: int) -> ort.InferenceSession:
    """As fast as the build can; without its rewriting of quantisers where that breaks the graph.

    Builds before 1.32 put 8-bit floats into operators that take integers alone, and then refuse their own work
    (`Type 'tensor(float8e4m3fn)' ... of operator (QLinearConv) ... is invalid`, seen in 1.30).
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    made = partial(
        ort.InferenceSession, source, options, providers=_providers(device), disabled_optimizers=_WRONG_OPTIMIZERS
    )
    try:
        return made()
    except Exception as error:
        if "float8" not in str(error):
            raise
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        return made()


def _device(asked: str) -> str:
    has_cuda = "CUDAExecutionProvider" in ort.get_available_providers()
    device = chosen_device(asked, has_cuda=has_cuda)
    if device != "cpu" and not has_cuda:
        raise ModelError(
            f"The device {asked} was asked for, but ONNX Runtime {ort.__version__} here runs on the CPU only.",
            "Install the build with CUDA (pip install onnxruntime-gpu), or use --device cpu.",
        )
    return device


def _providers(device: str) -> list[str | tuple[str, dict[str, str]]]:
    if device == "cpu":
        return ["CPUExecutionProvider"]
    return [("CUDAExecutionProvider", {"device_id": device.partition(":")[2]}), "CPUExecutionProvider"]


def _spec(argument: ort.NodeArg) -> TensorSpec:
    shape = tuple(axis if isinstance(axis, int) else None for axis in argument.shape)
    return TensorSpec(argument.name, shape, _DTYPES.get(argument.type, argument.type))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip(".")
