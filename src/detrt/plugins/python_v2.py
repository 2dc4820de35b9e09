"""IPluginV2DynamicExt in Python: TensorRT 10, where it is deprecated. Import it only where TensorRT is."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import tensorrt as trt

from detrt.plugins import tensorrt_types as types
from detrt.plugins.attention import AttentionOperation
from detrt.plugins.offsets import OffsetsOperation
from detrt.plugins.operation import NAMESPACE, VERSION, Fields, Operation


class PluginV2(trt.IPluginV2DynamicExt):  # type: ignore[misc]  # TensorRT's classes have no types
    """An operation as TensorRT builds and runs it."""

    def __init__(self, operation: Operation) -> None:
        trt.IPluginV2DynamicExt.__init__(self)
        self.operation = operation
        self.plugin_type, self.plugin_version, self.plugin_namespace = operation.name, VERSION, NAMESPACE
        self.num_outputs = operation.output_count

    def clone(self) -> PluginV2:
        return PluginV2(self.operation)

    def get_output_datatype(self, index: int, input_types: list[Any]) -> Any:
        elements = [types.element_of(kind) for kind in input_types]
        outputs = self.operation.output_elements([element for element in elements if element is not None])
        return types.dtype_of(trt, outputs[index])

    def get_output_dimensions(self, index: int, inputs: list[Any], build: Any) -> Any:
        return types.output_dims(trt, self.operation, inputs, build)[index]

    def supports_format_combination(self, position: int, tensors: list[Any], input_count: int) -> bool:
        return types.takes(trt, self.operation, position, tensors)

    def configure_plugin(self, inputs: list[Any], outputs: list[Any]) -> None:
        """Nothing depends on shapes."""

    def initialize(self) -> None:
        self.operation.prepare()

    def terminate(self) -> None:
        """The weights go with the last clone that shares them."""

    def enqueue(
        self, inputs: list[Any], outputs: list[Any], sources: list[int], targets: list[int], workspace: int, stream: int
    ) -> None:
        self.operation.enqueue(types.views(inputs, sources), types.views(outputs, targets), stream)

    def serialize(self) -> bytes:
        return bytes_of(self.operation.fields)


class CreatorV2(trt.IPluginCreator):  # type: ignore[misc]
    """Makes plugins of one operation, from fields and from bytes."""

    def __init__(self, operation: type[Operation]) -> None:
        trt.IPluginCreator.__init__(self)
        self.operation = operation
        self.name, self.plugin_version, self.plugin_namespace = operation.name, VERSION, NAMESPACE
        self.field_names = types.empty_collection(trt, operation)

    def create_plugin(self, name: str, fields: Any) -> PluginV2:
        return PluginV2(self.operation.from_fields(types.fields_from(fields)))

    def deserialize_plugin(self, name: str, data: bytes) -> PluginV2:
        return PluginV2(self.operation.from_fields(fields_of(data)))


def creators() -> list[CreatorV2]:
    """One for each operation."""
    return [CreatorV2(AttentionOperation), CreatorV2(OffsetsOperation)]


def bytes_of(fields: Fields) -> bytes:
    """Fields as one piece: a NumPy archive."""
    archive = io.BytesIO()
    np.savez(archive, **fields)  # type: ignore[arg-type]  # NumPy's stub takes the names for options
    return archive.getvalue()


def fields_of(data: bytes) -> Fields:
    """The inverse. Nothing in the archive is run."""
    with np.load(io.BytesIO(bytes(data)), allow_pickle=False) as archive:
        return dict(archive)
