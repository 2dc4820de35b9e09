"""Writing types into a graph: constants converted, casts put where a float32 node and a narrow one meet."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
import numpy.typing as npt
import onnx
import onnx.version_converter
from onnx import NodeProto, TensorProto, helper, numpy_helper

from detrt.graph import ops
from detrt.graph.index import GraphIndex, key_of
from detrt.graph.ranges import Narrow

ONNX_TYPES: dict[Narrow, int] = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
_TYPED_SCALES = 19  # the first opset whose quantisers take scales of other types than float32
_FP16_LARGEST = 65504.0


def retyped(index: GraphIndex, narrow: Narrow, wide: Set[str]) -> onnx.ModelProto:
    """The model with every node narrow but those of `wide`; inputs and outputs keep their types.

    A tensor is cast at most once each way, next to the node that makes it. Constants are converted, never cast.

    Args:
        index: the model; consumed, for its own copy is edited.
        narrow: the type of all other nodes.
        wide: keys of the nodes that stay in float32.
    """
    return _Retyping(index, narrow, wide).apply()


def with_typed_scales(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model at an opset whose QuantizeLinear and DequantizeLinear take narrow scales, where it has any of them."""
    opset = next(entry.version for entry in model.opset_import if ops.is_standard(entry.domain))
    if opset >= _TYPED_SCALES or not any(node.op_type in ops.QUANTIZERS for node in model.graph.node):
        return model
    raised = onnx.version_converter.convert_version(model, _TYPED_SCALES)
    del raised.metadata_props[:]
    raised.metadata_props.extend(model.metadata_props)
    return raised


def narrow_constant(tensor: TensorProto, name: str, narrow: Narrow) -> TensorProto:
    """A float32 constant in the narrow type, rounded to nearest even; finite values stay finite."""
    values = numpy_helper.to_array(tensor).astype(np.float32)
    if narrow == "fp16":
        finite = np.where(np.isfinite(values), np.clip(values, -_FP16_LARGEST, _FP16_LARGEST), values)
        return numpy_helper.from_array(finite.astype(np.float16), name)
    return helper.make_tensor(name, TensorProto.BFLOAT16, tensor.dims, _bfloat16_bits(values).tobytes(), raw=True)


def _bfloat16_bits(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """The upper half of each float32's bits, rounded to nearest even; infinities and NaN keep theirs."""
    bits = np.ascontiguousarray(values).view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    largest = np.where(bits >> 31, 0xFF7F, 0x7F7F)
    return np.where(np.isfinite(values), np.where((rounded & 0x7FFF) < 0x7F80, rounded, largest), bits >> 16).astype(
        np.uint16
    )


class _Retyping:
    """Edits an index's own model. Each float tensor has a float32 version and a narrow one, made when asked for."""

    def __init__(self, index: GraphIndex, narrow: Narrow, wide: Set[str]) -> None:
        self._index = index
        self._narrow = narrow
        self._type = ONNX_TYPES[narrow]
        self._is_wide = [key_of(node) in wide or not index.computes_floats(node) for node in index.nodes]
        self._added_constants: dict[str, TensorProto] = {}
        self._casts: dict[int | None, dict[str, NodeProto]] = {}  # by the node they follow; None: the graph's inputs

    def apply(self) -> onnx.ModelProto:
        index, graph = self._index, self._index.model.graph
        for number, node in enumerate(index.nodes):
            self._type_inputs(number, node)
        for name in index.outputs:
            if index.is_float(name):
                self._version(name, wide=True)
        for number, node in enumerate(index.nodes):
            if not self._is_wide[number]:
                self._type_outputs(node)
        nodes = list(self._casts.get(None, {}).values())
        for number, node in enumerate(index.nodes):
            nodes += [node, *self._casts.get(number, {}).values()]
        read = {name for node in nodes for name in node.input} | set(index.outputs)
        constants = [tensor for tensor in graph.initializer if tensor.name in read]
        model = index.model
        del graph.value_info[:], graph.initializer[:], graph.node[:]
        graph.initializer.extend([*constants, *self._added_constants.values()])
        graph.node.extend(nodes)
        return model

    def _type_inputs(self, number: int, node: NodeProto) -> None:
        always_wide = ops.FLOAT32_SLOTS.get(node.op_type, ())
        for slot, name in enumerate(node.input):
            if not self._index.is_float(name):
                continue
            if node.op_type in ops.OBSERVERS:
                node.input[slot] = self._version(name, wide=self._made_wide(name))
            else:
                node.input[slot] = self._version(name, wide=self._is_wide[number] or slot in always_wide)

    def _type_outputs(self, node: NodeProto) -> None:
        """Rename the outputs where their plain name is the float32 version's, and retype what states a type itself."""
        made = self._index.float_outputs(node)
        node.output[:] = [self._narrow_name(name) if name in made else name for name in node.output]
        if made and node.op_type == "Cast":
            next(item for item in node.attribute if item.name == "to").i = self._type
        elif made and node.op_type == "ConstantOfShape":
            value = next((item.t for item in node.attribute if item.name == "value"), None)
            value = value or helper.make_tensor("value", TensorProto.FLOAT, [1], [0.0])
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("value", narrow_constant(value, "value", self._narrow)))

    def _version(self, name: str, *, wide: bool) -> str:
        """Name of the tensor in the type asked for; makes the converted constant, or the cast, where there is none."""
        constant = self._index.constants.get(name)
        if constant is not None:
            if wide:
                return name
            converted = f"{name}/{self._narrow}"
            if converted not in self._added_constants:
                self._added_constants[converted] = narrow_constant(constant, converted, self._narrow)
            return converted
        names = {True: self._wide_name(name), False: self._narrow_name(name)}
        source, target = names[not wide], names[wide]
        if self._made_wide(name) != wide:
            after = self._casts.setdefault(self._index.producer.get(name), {})
            kind = TensorProto.FLOAT if wide else self._type
            after.setdefault(target, helper.make_node("Cast", [source], [target], name=f"{target}/cast", to=kind))
        return target

    def _made_wide(self, name: str) -> bool:
        producer = self._index.producer.get(name)
        return producer is None or self._is_wide[producer]

    def _wide_name(self, name: str) -> str:
        return name if self._made_wide(name) or name in self._index.outputs else f"{name}/fp32"

    def _narrow_name(self, name: str) -> str:
        return f"{name}/{self._narrow}" if self._made_wide(name) or name in self._index.outputs else name
