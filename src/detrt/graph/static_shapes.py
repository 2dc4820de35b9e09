"""The shape of every tensor of a graph for one image, where it can be known without running the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from detrt.graph.foreign_shapes import foreign_outputs

Shape = tuple[int | None, ...]
Array = npt.NDArray[np.generic]

FEW = 4096  # elements of a tensor that is worth evaluating: shapes, indices and sizes are far below
CONSTANTS_APART = 4  # the IR version from which on constants need not be inputs too; before, others are ignored
ROUNDS = 20  # each round folds all that the last one made foldable; exported models take three to five


def static_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Shapes by tensor name at batch 1; an axis that stays unknown is None, a tensor of unknown rank is missing.

    An exporter leaves shape arithmetic in the graph (Shape, Gather, Concat, Reshape), which ONNX's own inference gives
    up on. So it is evaluated here: known shapes become constants, what depends on constants alone becomes a constant,
    and the inference is run again until nothing new is learned.
    """
    work = _at_batch_one(model)
    constants = {t.name: _value(t) for t in work.graph.initializer if _is_small(t.dims)}
    shapes: dict[str, Shape] = {}
    for _ in range(ROUNDS):
        inferred = onnx.shape_inference.infer_shapes(work, data_prop=True)
        shapes = _shapes_of(inferred)
        foreign = foreign_outputs(inferred)
        work.graph.value_info.extend(foreign)
        folded = _folded(work, shapes, constants)
        if not folded and not foreign:
            break
        kept = [node for node in work.graph.node if node.output[0] not in folded]
        del work.graph.node[:]
        work.graph.node.extend(kept)
        work.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in folded.items())
        constants |= folded
    return shapes


def _at_batch_one(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph alone, its inputs taking one image: no exporter's shapes, and large weights only as typed inputs."""
    work = onnx.ModelProto(ir_version=max(model.ir_version, CONSTANTS_APART))
    work.opset_import.extend(model.opset_import)
    work.functions.extend(model.functions)
    work.graph.name = "shapes"
    work.graph.node.extend(model.graph.node)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name not in weights:
            work.graph.input.append(value)
            axes = work.graph.input[-1].type.tensor_type.shape.dim
            if axes and not axes[0].dim_value:
                axes[0].dim_value = 1
    for tensor in weights.values():
        if _is_small(tensor.dims):
            work.graph.initializer.append(tensor)
        else:
            work.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    for value in model.graph.output:
        work.graph.output.append(value)
        work.graph.output[-1].type.tensor_type.ClearField("shape")
    return work


def _shapes_of(model: onnx.ModelProto) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {
        value.name: tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in tensor.shape.dim)
        for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)
        if (tensor := value.type.tensor_type).HasField("shape")
    }
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}


def _folded(work: onnx.ModelProto, shapes: Mapping[str, Shape], constants: Mapping[str, Array]) -> dict[str, Array]:
    """What one pass over the graph can evaluate now."""
    known, new = dict(constants), dict[str, Array]()
    for node in work.graph.node:
        value = _evaluated(node, work, shapes, known)
        if value is not None:
            known[node.output[0]] = new[node.output[0]] = value
    return new


def _evaluated(
    node: onnx.NodeProto, work: onnx.ModelProto, shapes: Mapping[str, Shape], known: Mapping[str, Array]
) -> Array | None:
    """The node's one output, where it is small and follows from constants or from a known shape."""
    if len(node.output) != 1 or node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type == "Shape":
        shape = shapes.get(node.input[0])
        if shape is None or None in shape:
            return None
        bounds = {str(attribute.name): attribute.i for attribute in node.attribute}
        return np.array(shape[bounds.get("start", 0) : bounds.get("end", len(shape))], np.int64)
    out = shapes.get(node.output[0], ())
    if not _is_small(axis or 0 for axis in out):
        return None
    if node.op_type.startswith("Random") or not all(name in known for name in node.input if name):
        return None
    feeds = {name: known[name] for name in node.input if name}
    graph = onnx.helper.make_graph([node], "one", [onnx.ValueInfoProto(name=name) for name in feeds], [])
    graph.output.append(onnx.ValueInfoProto(name=node.output[0]))
    try:
        one = onnx.helper.make_model(graph, opset_imports=list(work.opset_import), ir_version=work.ir_version)
        value = np.asarray(next(iter(ReferenceEvaluator(one).run(None, feeds))))
    except Exception:  # an operator that the reference does not have is no news: its output stays unknown
        return None
    return value if _is_small(value.shape) else None


def _is_small(dims: Iterable[int]) -> bool:
    return int(np.prod(list(dims), dtype=np.int64)) <= FEW


def _value(tensor: onnx.TensorProto) -> Array:
    return np.asarray(numpy_helper.to_array(tensor))
