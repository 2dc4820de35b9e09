"""IPluginV3 in Python: TensorRT 10 and 11. Import it only where TensorRT is."""

from __future__ import annotations

from typing import Any

import tensorrt as trt

from detrt.plugins import tensorrt_types as types
from detrt.plugins.attention import AttentionOperation
from detrt.plugins.offsets import OffsetsOperation
from detrt.plugins.operation import NAMESPACE, VERSION, Operation


class PluginV3(
    trt.IPluginV3,  # type: ignore[misc]  # TensorRT's classes have no types
    trt.IPluginV3OneCore,  # type: ignore[misc]
    trt.IPluginV3OneBuild,  # type: ignore[misc]
    trt.IPluginV3OneRuntime,  # type: ignore[misc]
):
    """An operation as TensorRT builds and runs it."""

    def __init__(self, operation: Operation) -> None:
        trt.IPluginV3.__init__(self)
        trt.IPluginV3OneCore.__init__(self)
        trt.IPluginV3OneBuild.__init__(self)
        trt.IPluginV3OneRuntime.__init__(self)
        self.operation = operation
        self.plugin_name, self.plugin_version, self.plugin_namespace = operation.name, VERSION, NAMESPACE
        self.num_outputs = operation.output_count
        self._fields = types.collection_of(trt, operation.fields)

    def get_capability_interface(self, kind: Any) -> PluginV3:
        """All in one."""
        return self

    def clone(self) -> PluginV3:
        return PluginV3(self.operation)

    def get_output_data_types(self, input_types: list[Any]) -> list[Any]:
        elements = [types.element_of(kind) for kind in input_types]
        outputs = self.operation.output_elements([element for element in elements if element is not None])
        return [types.dtype_of(trt, element) for element in outputs]

    def get_output_shapes(self, inputs: list[Any], shape_inputs: list[Any], build: Any) -> list[Any]:
        return types.output_dims(trt, self.operation, inputs, build)

    def supports_format_combination(self, position: int, tensors: list[Any], input_count: int) -> bool:
        return types.takes(trt, self.operation, position, [tensor.desc for tensor in tensors])

    def configure_plugin(self, inputs: list[Any], outputs: list[Any]) -> None:
        """Nothing depends on shapes."""

    def attach_to_context(self, context: Any) -> PluginV3:
        self.operation.prepare()
        return self.clone()

    def on_shape_change(self, inputs: list[Any], outputs: list[Any]) -> None:
        self.operation.prepare()  # the builder times plugins that it attached to nothing

    def enqueue(
        self, inputs: list[Any], outputs: list[Any], sources: list[int], targets: list[int], workspace: int, stream: int
    ) -> None:
        self.operation.enqueue(types.views(inputs, sources), types.views(outputs, targets), stream)

    def get_fields_to_serialize(self) -> Any:
        return self._fields

    def get_valid_tactics(self) -> list[int]:
        return []

    def set_tactic(self, tactic: int) -> None:
        """There is one way only."""


class CreatorV3(trt.IPluginCreatorV3One):  # type: ignore[misc]
    """Makes plugins of one operation from fields, at build and at load."""

    def __init__(self, operation: type[Operation]) -> None:
        trt.IPluginCreatorV3One.__init__(self)
        self.operation = operation
        self.name, self.plugin_version, self.plugin_namespace = operation.name, VERSION, NAMESPACE
        self.field_names = types.empty_collection(trt, operation)

    def create_plugin(self, name: str, fields: Any, phase: Any) -> PluginV3:
        return PluginV3(self.operation.from_fields(types.fields_from(fields)))


def creators() -> list[CreatorV3]:
    """One for each operation."""
    return [CreatorV3(AttentionOperation), CreatorV3(OffsetsOperation)]
