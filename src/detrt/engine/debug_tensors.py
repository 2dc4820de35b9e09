"""Inner tensors that an engine shows while it runs, without being outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detrt.engine import api
from detrt.errors import EngineError


def mark_debug_tensors(network: api.Network, names: Sequence[str]) -> None:
    """Mark them in the network.

    Raises:
        EngineError: the network has no such tensor, or TensorRT will not show it.
    """
    if not names:
        return
    native: Any = network
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
