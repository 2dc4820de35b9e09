"""Measuring inside the graph: the model with nodes added that reduce every tensor to a few numbers.

Fetching each intermediate tensor of a detector would move gigabytes a photo. Instead each float32 tensor gets its
minimum and maximum, and each node that computes gets a twin that works on rounded inputs and rounds its output; only
the sums of squares of their difference leave the graph, all in one vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import NodeProto, TensorProto, helper

from detrt.errors import ModelError
from detrt.graph import ops
from detrt.graph.index import GraphIndex, attribute, key_of
from detrt.runtime.base import Array

_TYPES = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
_REPORT = "detrt/report"
_TENSOR_FIELDS = 3  # minimum, maximum, elements
_NODE_FIELDS = 4  # squares of the error, of the spread, of the values; largest inner sum
_CEILING = 1e6  # larger values would drown the sums of squares; the range has told on them already
_CONSTANT = 1e-10  # relative variance below which a tensor counts as one value repeated
_LARGEST = float(np.finfo(np.float32).max)

Doubles = npt.NDArray[np.float64]


class Probes:
    """The measuring model in ONNX Runtime, and what it has measured so far."""

    def __init__(self, model: onnx.ModelProto, narrow: str) -> None:
        index = GraphIndex(model)
        index.refuse_narrow()
        self._graph = _InstrumentedGraph(index, _TYPES[narrow])
        self._rows: list[Doubles] = []
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # else roundings are merged
        try:
            self._session = ort.InferenceSession(self._graph.serialized(), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise _failure("cannot load the model with its probes", error) from error

    def add(self, feed: Mapping[str, Array]) -> None:
        """Measure on one more feed."""
        try:
            (row,) = self._session.run([_REPORT], dict(feed))
        except Exception as error:
            raise _failure("failed on a feed", error) from error
        self._rows.append(np.asarray(row, np.float64))

    def tensors(self) -> Iterator[tuple[str, tuple[float, float, int, bool]]]:
        """Name, and minimum, maximum, elements, whether all were finite."""
        values = np.stack(self._rows)[:, : _TENSOR_FIELDS * len(self._graph.tensors)]
        values = values.reshape(len(self._rows), -1, _TENSOR_FIELDS)
        lows, highs, counts = values[..., 0].min(axis=0), values[..., 1].max(axis=0), values[..., 2].max(axis=0)
        for name, low, high, count in zip(self._graph.tensors, lows, highs, counts, strict=True):
            bounds = np.nan_to_num([low, high], nan=_LARGEST, posinf=_LARGEST, neginf=-_LARGEST)
            yield name, (float(bounds[0]), float(bounds[1]), int(count), bool(np.isfinite([low, high]).all()))

    def nodes(self) -> Iterator[tuple[str, tuple[float, float]]]:
        """Key of a node, and its relative error and largest inner sum."""
        values = np.stack(self._rows)[:, _TENSOR_FIELDS * len(self._graph.tensors) :]
        values = values.reshape(len(self._rows), -1, _NODE_FIELDS)
        for key, record in zip(self._graph.nodes, values.transpose(1, 2, 0), strict=True):
            error, spread, squares = record[0].sum(), record[1].sum(), record[2].sum()
            scale = spread if spread > _CONSTANT * squares else squares
            noise = float(np.sqrt(error / scale)) if scale > 0 else float(error > 0)
            yield key, (noise if np.isfinite(noise) else _LARGEST, float(record[3].max()))


class _InstrumentedGraph:
    """Builds the measuring model; `tensors` and `nodes` list, in order, what the report holds."""

    def __init__(self, index: GraphIndex, narrow: int) -> None:
        self._index = index
        self._narrow = narrow
        self._added: list[NodeProto] = []
        self._rounded: dict[str, str] = {}
        self._scalars: list[str] = []
        made = [name for node in index.nodes for name in index.float_outputs(node)]
        self.tensors = [name for name in (*index.inputs, *made) if index.is_float(name)]
        self.nodes: list[str] = []
        self._constant(_REPORT + "/axis", TensorProto.INT64, (1,), [-1])
        self._constant(_REPORT + "/low", TensorProto.FLOAT, (), [-_CEILING])
        self._constant(_REPORT + "/high", TensorProto.FLOAT, (), [_CEILING])
        for name in self.tensors:
            self._range(name)
        for node in index.nodes:
            if _has_twin(index, node):
                self._compare(node)

    def serialized(self) -> bytes:
        """The model: its own nodes and the probes, and one output."""
        graph = self._index.model.graph
        self._added.append(helper.make_node("Concat", self._scalars, [_REPORT], axis=0))
        graph.node.extend(self._added)
        del graph.value_info[:], graph.output[:]
        graph.output.append(helper.make_tensor_value_info(_REPORT, TensorProto.FLOAT, [len(self._scalars)]))
        return self._index.model.SerializeToString()

    def _range(self, name: str) -> None:
        for op in ("ReduceMin", "ReduceMax"):
            self._report(self._node(op, [name], keepdims=0))
        self._report(self._node("Cast", [self._node("Size", [name])], to=TensorProto.FLOAT))

    def _compare(self, node: NodeProto) -> None:
        """Report how far the node's twin on rounded numbers is from the node."""
        twin = NodeProto()
        twin.CopyFrom(node)
        wide = ops.FLOAT32_SLOTS.get(node.op_type, ())
        twin.input[:] = [
            self._round(name) if self._index.is_float(name) and slot not in wide else name
            for slot, name in enumerate(node.input)
        ]
        twin.output[:] = [name and f"{name}/twin" for name in node.output]
        twin.name = f"{node.name or key_of(node)}/twin"
        self._added.append(twin)
        exact = self._index.float_outputs(node)[0]
        values = self._clipped(exact)
        error = self._node("Sub", [values, self._clipped(self._round(f"{exact}/twin"))])
        spread = self._node("Sub", [values, self._node("ReduceMean", [values], keepdims=0)])
        for squared in (error, spread, values):
            self._report(self._node("ReduceSumSquare", [squared], keepdims=0))
        self._report(self._inner_sum(node))
        self.nodes.append(key_of(node))

    def _inner_sum(self, node: NodeProto) -> str:
        op = ops.SUMS.get(node.op_type)
        if op is None:
            return self._constant(f"{key_of(node)}/inner", TensorProto.FLOAT, (), [0.0])
        axes = attribute(node, "axes")
        settings: dict[str, Any] = {"axes": list(axes.ints)} if axes else {}
        inputs = list(node.input)
        if len(inputs) > 1 and not _takes_axes_as_input(op, self._opset()):
            # ReduceSum takes its axes as an input from opset 13, the other reductions from 18
            settings = {"axes": onnx.numpy_helper.to_array(self._index.constants[inputs.pop()]).tolist()}
        return self._node("ReduceMax", [self._node(op, inputs, **settings)], keepdims=0)

    def _opset(self) -> int:
        return next(entry.version for entry in self._index.model.opset_import if ops.is_standard(entry.domain))

    def _round(self, name: str) -> str:
        """The tensor after a visit to the narrow type."""
        if name not in self._rounded:
            narrow = self._node("Cast", [name], to=self._narrow)
            self._rounded[name] = self._node("Cast", [narrow], to=TensorProto.FLOAT)
        return self._rounded[name]

    def _clipped(self, name: str) -> str:
        return self._node("Clip", [name, _REPORT + "/low", _REPORT + "/high"])

    def _node(self, op: str, inputs: list[str], **attributes: Any) -> str:
        output = f"detrt/{op}/{len(self._added)}"
        self._added.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def _constant(self, name: str, kind: int, shape: tuple[int, ...], values: list[float]) -> str:
        self._index.model.graph.initializer.append(helper.make_tensor(name, kind, shape, values))
        return name

    def _report(self, scalar: str) -> None:
        self._scalars.append(self._node("Reshape", [scalar, _REPORT + "/axis"]))


def _has_twin(index: GraphIndex, node: NodeProto) -> bool:
    exempt = ops.CARRIERS | ops.OBSERVERS | ops.OPAQUE | ops.QUANTIZERS
    return ops.is_standard(node.domain) and node.op_type not in exempt and bool(index.float_outputs(node))


def _takes_axes_as_input(op: str, opset: int) -> bool:
    return opset >= (13 if op == "ReduceSum" else 18)


def _failure(what: str, error: Exception) -> ModelError:
    reason = str(error).strip().split("\n", 1)[0].rstrip(".")
    return ModelError(
        f"ONNX Runtime {ort.__version__} {what}: {reason}.",
        "Check that the model itself runs: detrt predict MODEL PHOTO",
    )
