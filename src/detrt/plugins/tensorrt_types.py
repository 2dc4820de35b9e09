"""Between TensorRT's Python objects and ours. Imports nothing: it is given what it needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from detrt.kernels.launch import Element
from detrt.plugins.operation import Array, Fields, Operation, View

_ELEMENTS = {
    "FLOAT": Element.float32,
    "HALF": Element.float16,
    "BF16": Element.bfloat16,
    "INT8": Element.int8,
}
_NAMES = {element: name for name, element in _ELEMENTS.items()}


def element_of(dtype: Any) -> Element | None:
    """Of a `trt.DataType`; None of those that no kernel has."""
    return _ELEMENTS.get(dtype.name)


def dtype_of(trt: Any, element: Element) -> Any:
    """The `trt.DataType`."""
    return getattr(trt.DataType, _NAMES[element])


def views(descriptions: Iterable[Any], addresses: Iterable[int]) -> list[View]:
    """Of tensors as `enqueue` is handed them: `trt.PluginTensorDesc` and addresses."""
    return [
        View(int(address), tuple(description.dims), _ELEMENTS[description.type.name])
        for description, address in zip(descriptions, addresses, strict=True)
    ]


def takes(trt: Any, operation: Operation, position: int, descriptions: list[Any]) -> bool:
    """Whether tensor `position` may be what its `trt.PluginTensorDesc` says, beside those before it."""
    elements = [element_of(description.type) for description in descriptions[: position + 1]]
    is_linear = descriptions[position].format == trt.TensorFormat.LINEAR
    return (
        is_linear and operation.takes([element for element in elements if element is not None]) and None not in elements
    )


def output_dims(trt: Any, operation: Operation, inputs: list[Any], build: Any) -> list[Any]:
    """`trt.DimsExprs` of each output; new axes come from the `trt.IExprBuilder`."""
    outputs = []
    for axes in operation.output_shapes([list(dims) for dims in inputs]):
        dims = trt.DimsExprs(len(axes))
        for place, axis in enumerate(axes):
            dims[place] = build.constant(axis) if isinstance(axis, int) else axis
        outputs.append(dims)
    return outputs


def fields_from(collection: Iterable[Any]) -> Fields:
    """Of a `trt.PluginFieldCollection`, copied."""
    return {str(field.name): np.array(field.data) for field in collection}


def collection_of(trt: Any, fields: Fields) -> Any:
    """As a `trt.PluginFieldCollection`, which reads the arrays where they lie: keep `fields` as long."""
    return trt.PluginFieldCollection([_field(trt, name, array) for name, array in fields.items()])


def empty_collection(trt: Any, operation: type[Operation]) -> Any:
    """What a creator says that it takes: names and types."""
    return collection_of(trt, {name: np.array([], kind) for name, kind in operation.field_types.items()})


def _field(trt: Any, name: str, array: Array) -> Any:
    kinds = {np.int8: "INT8", np.int32: "INT32", np.float32: "FLOAT32"}
    return trt.PluginField(name, array, getattr(trt.PluginFieldType, kinds[array.dtype.type]))
