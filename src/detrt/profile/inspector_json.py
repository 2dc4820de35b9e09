"""The JSON of TensorRT's engine inspector, as TensorRT 10 and 11 and TensorRT-RTX write it.

10 puts layout and type of a tensor into one text (`Format/Datatype`) and lists the engine's own tensors by name
(`Bindings`); 11 has `Format` and `Datatype`, and objects under `I/O Tensors` (migration guide, docs.nvidia.com).
An engine built without detailed profiling verbosity has names in place of layers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from detrt.errors import EngineError
from detrt.profile.layers import Layer, LayerTensor

_SOURCE = re.compile(r"\[ONNX Layer: (.*?)\](?=\x1e|\s|\[ONNX Layer:|$)")

# Words of TensorRT for a type, longest first, as people write it.
_TYPES = (
    ("BFloat16", "BF16"), ("BF16", "BF16"), ("Float8", "FP8"), ("FP8", "FP8"), ("Float4", "FP4"), ("FP4", "FP4"),
    ("FP16", "FP16"), ("Half", "FP16"), ("FP32", "FP32"), ("Float", "FP32"), ("UInt8", "UINT8"), ("Int8", "INT8"),
    ("Int64", "INT64"), ("Int32", "INT32"), ("Int4", "INT4"), ("Bool", "BOOL"),
)  # fmt: skip


def layers_from_json(content: object) -> tuple[Layer, ...]:
    """Read what the inspector or `trtexec --exportLayerInfo` wrote.

    Raises:
        EngineError: there are no layers in it.
    """
    found = content.get("Layers") if isinstance(content, Mapping) else None
    if not isinstance(found, list) or not found:
        raise EngineError(
            "The JSON holds no layers of an engine.",
            "Give what `detrt profile ENGINE --save DIR`, the engine inspector or trtexec --exportLayerInfo wrote.",
        )
    return tuple(_layer(entry) for entry in found)


def dtype_of(text: str) -> str:
    """The type in a TensorRT text: `Row major linear FP32`, `Half` or `FP8E4M3` -> FP32, FP16, FP8; else as it is."""
    lowered = text.lower()
    return next((name for word, name in _TYPES if word.lower() in lowered), text)


def _layer(entry: Any) -> Layer:
    if isinstance(entry, str):
        return Layer(entry, "")
    return Layer(
        name=str(entry.get("Name", "")),
        kind=str(entry.get("LayerType", "")),
        sources=tuple(dict.fromkeys(_SOURCE.findall(entry.get("Metadata") or ""))),
        inputs=_tensors(entry.get("Inputs")),
        outputs=_tensors(entry.get("Outputs")),
        stream=int(entry.get("StreamId", 0)),
        tactic=str(entry.get("TacticName", "")),
    )


def _tensors(entries: Any) -> tuple[LayerTensor, ...]:
    return tuple(_tensor(entry) for entry in entries or ())


def _tensor(entry: Any) -> LayerTensor:
    if isinstance(entry, str):
        return LayerTensor(entry, (), "", "")
    joined = str(entry.get("Format/Datatype", ""))
    layout = str(entry.get("Format", joined))
    dtype = str(entry.get("Datatype", entry.get("DataType", joined)))
    shape = tuple(int(axis) for axis in entry.get("Dimensions", ()))
    return LayerTensor(str(entry.get("Name", "")), shape, dtype_of(dtype or layout), layout)
