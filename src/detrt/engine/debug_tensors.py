"""Inner tensors that an engine shows while it runs, without being outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from detrt.engine import api
from detrt.errors import EngineError


def mark_debug_tensors(network: api.Network, names: Sequence[str] | Literal["unfused"]) -> None:
    """Mark them in the network; `unfused` marks what TensorRT leaves between its layers, whatever that will be.

    Raises:
        EngineError: the network has no such tensor, or TensorRT will not show it.
    """
    native: Any = network
    if names == "unfused":
        if not (hasattr(native, _UNFUSED) and getattr(native, _UNFUSED)()):
            raise EngineError("This TensorRT shows no unfused tensors.", "Name the debug tensors, or mark outputs.")
        return
    if not names:
        return
    layers = (native.get_layer(index) for index in range(native.num_layers))
    found = {
        tensor.name: tensor
        for layer in layers
        for index in range(layer.num_outputs)
        if (tensor := layer.get_output(index)) is not None
    }
    for name in names:
        if name not in found or not native.mark_debug(found[name]):
            raise EngineError(
                f"The tensor {name} cannot be a debug tensor of the engine.",
                "Name tensors as the ONNX model does; the parser drops some that only move numbers.",
            )


_UNFUSED = "mark_unfused_tensors_as_debug_tensors"
