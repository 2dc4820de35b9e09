"""Where inner tensors come from: an ONNX file gives any of them, an engine those that it was built to show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import onnx
from onnx import TensorProto

from detrt.errors import GraphError
from detrt.graph import ops
from detrt.graph.mark import tensor_types, with_outputs
from detrt.graph.onnx_file import load
from detrt.runtime.base import Array, Runtime
from detrt.runtime.onnxruntime import OnnxRuntime

AT_ONCE = 120
"""Tensors that one run returns: more would fill the memory at 640x640."""

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
_NO_NEWS = ops.CARRIERS | ops.OBSERVERS | {"QuantizeLinear", "Relu", "Constant", "ConstantOfShape", "Range"}


class TensorSource(Protocol):
    """Something that can be asked for tensors by name."""

    def those_of(self, names: Iterable[str]) -> list[str]:
        """The names that it can give, in the order asked for."""
        ...

    def read(self, feeds: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
        """The tensors of one run; some that were asked for may be missing where they turn out to be empty."""
        ...


class OnnxTensors:
    """Any tensor of an ONNX file, through ONNX Runtime.

    Attributes:
        model: the graph.
        order: the float tensors that nodes compute, from input to output; those that only move numbers are left out.
        parents: of each of these, the nearest of these that it is computed from.
        rows: number of queries, where a top-k selects them; 0 where none does.
        after_selection: the tensors that depend on that top-k.
    """

    def __init__(self, file: Path | onnx.ModelProto, *, device: str = "auto") -> None:
        self.model = file if isinstance(file, onnx.ModelProto) else load(file)
        self._device = device
        self._sessions: dict[tuple[str, ...], OnnxRuntime] = {}
        types = {name: value.type.tensor_type.elem_type for name, value in tensor_types(self.model).items()}
        self._known = frozenset(name for name, kind in types.items() if kind in _FLOATS)
        self.order = [
            name
            for node in self.model.graph.node
            if node.op_type not in _NO_NEWS
            for name in node.output
            if name in self._known
        ]
        self.parents = _parents(self.model, frozenset(self.order))
        self.rows, self.after_selection = _selection(self.model)

    def those_of(self, names: Iterable[str]) -> list[str]:
        """See `TensorSource`."""
        return [name for name in names if name in self._known]

    def read(self, feeds: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
        """See `TensorSource`."""
        return {name: value for name, value in self._session(tuple(names)).run(feeds).items() if name in names}

    def close(self) -> None:
        """Free the session; the next read opens another."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    def _session(self, names: tuple[str, ...]) -> OnnxRuntime:
        if names not in self._sessions:
            self.close()  # one at a time: each keeps the memory of its tensors
            outputs = {value.name for value in self.model.graph.output}
            shown = with_outputs(self.model, [name for name in names if name not in outputs])
            self._sessions[names] = OnnxRuntime(shown.SerializeToString(), device=self._device)
        return self._sessions[names]


class OutputTensors:
    """The float outputs of a runtime, marked ones among them; all that a runtime without graph can show."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def those_of(self, names: Iterable[str]) -> list[str]:
        """See `TensorSource`."""
        own = {spec.name for spec in self._runtime.outputs if "float" in spec.dtype}
        return [name for name in names if name in own]

    def read(self, feeds: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
        """See `TensorSource`."""
        return {name: value for name, value in self._runtime.run(feeds).items() if name in names}


def _parents(model: onnx.ModelProto, shown: frozenset[str]) -> dict[str, tuple[str, ...]]:
    nearest: dict[str, frozenset[str]] = {}
    parents: dict[str, tuple[str, ...]] = {}
    for node in model.graph.node:
        before = frozenset[str]().union(*(nearest.get(name, frozenset()) for name in node.input))
        for name in node.output:
            if name in shown:
                parents[name] = tuple(sorted(before))
                nearest[name] = frozenset({name})
            else:
                nearest[name] = before
    return parents


def _selection(model: onnx.ModelProto) -> tuple[int, frozenset[str]]:
    """How many queries the first top-k selects whose indices gather something, and all that depends on it."""
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            values[node.output[0]] = node.attribute[0].t
    for number, node in enumerate(model.graph.node):
        if node.op_type != "TopK" or node.input[1] not in values:
            continue
        if any(later.op_type.startswith("Gather") for later in _readers(model, number, node.output[1])):
            count = int(onnx.numpy_helper.to_array(values[node.input[1]]).reshape(-1)[0])
            return count, _downstream(model, number)
    return 0, frozenset()


def _readers(model: onnx.ModelProto, start: int, name: str) -> list[onnx.NodeProto]:
    """The nodes that depend on a tensor, through whatever only shapes it and up to the first that does more."""
    found, pending = [], {name}
    for node in model.graph.node[start + 1 :]:
        if pending.intersection(node.input):
            found.append(node)
            if node.op_type in ops.CARRIERS | {"Cast", "Add", "Mul", "Div", "Mod", "Sub"}:
                pending.update(node.output)
    return found


def _downstream(model: onnx.ModelProto, start: int) -> frozenset[str]:
    reached = set(model.graph.node[start].output)
    for node in model.graph.node[start + 1 :]:
        if reached.intersection(node.input):
            reached.update(node.output)
    return frozenset(reached)


def require_common(names: Sequence[str]) -> None:
    """Refuse to compare nothing.

    Raises:
        GraphError: there is no tensor that both have.
    """
    if not names:
        raise GraphError(
            "The two models have no float tensor of the same name.",
            "Compare an ONNX file with one made from it, or with an engine of `detrt mark`ed outputs.",
        )
