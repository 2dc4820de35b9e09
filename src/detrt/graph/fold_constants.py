"""Pass: what nodes compute from constants alone becomes a constant, so that a weight is found behind them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, numpy_helper

from detrt.errors import ModelError
from detrt.graph import ops
from detrt.graph.passes import PassResult
from detrt.runtime.onnxruntime import OnnxRuntime

Array = npt.NDArray[Any]

LARGEST_GROWN = 2**20
"""Elements of a constant that is larger than all that it is computed from; above that, computing it is cheaper."""

_LEFT = ops.QUANTIZERS | {"DynamicQuantizeLinear", "Bernoulli", "Multinomial", "RandomNormalLike", "RandomUniformLike"}


def fold_constants(model: onnx.ModelProto) -> PassResult:
    """Compute in ONNX Runtime what the network would compute anew for every image.

    Left as they are: quantisers, whose codes say what precision was meant; what is drawn at random; operators of other
    domains; and whatever is an output of the graph. A model that ONNX Runtime cannot compute so is unchanged.
    """
    candidates = _candidates(model.graph)
    values = _computed(model, candidates)
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in model.graph.initializer}
    folded: set[str] = set()
    for node in candidates:
        made = {name: values[name].size for name in node.output if name in values}
        before = [sizes.get(name) for name in node.input if name]
        most = max(LARGEST_GROWN, sum(size or 0 for size in before))
        if made and None not in before and max(made.values()) <= most:
            sizes |= made
            folded.update(made)
    if not folded:
        return PassResult(model, changed=False)
    return PassResult(_without(model, {name: values[name] for name in folded}), changed=True)


def _candidates(graph: onnx.GraphProto) -> list[NodeProto]:
    """The nodes that read constants and nothing else, in order."""
    known = {tensor.name for tensor in graph.initializer} - {value.name for value in graph.input}
    given = {value.name for value in graph.output}
    found = []
    for node in graph.node:
        reads = {name for name in node.input if name}
        plain = ops.is_standard(node.domain) and node.op_type not in _LEFT and "Sequence" not in node.op_type
        if plain and reads and reads <= known and given.isdisjoint(node.output):
            known.update(node.output)
            found.append(node)
    return found


def _computed(model: onnx.ModelProto, nodes: Sequence[NodeProto]) -> Mapping[str, Array]:
    """All that these nodes make, by name; nothing where that cannot be computed."""
    read = {name for node in nodes for name in node.input}
    made = [name for node in nodes for name in node.output if name]
    if not made:
        return {}
    alone = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    alone.graph.name = "constants"
    alone.graph.node.extend(nodes)
    alone.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in read)
    alone.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
    try:
        with OnnxRuntime(alone.SerializeToString(), device="cpu", threads=1) as runtime:
            return runtime.run({})
    except ModelError:
        return {}


def _without(model: onnx.ModelProto, folded: Mapping[str, Array]) -> onnx.ModelProto:
    """The model with these tensors as constants, and without the nodes and constants that nobody needs any more."""
    before = _read(model.graph.node)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    kept = [node for node in graph.node if folded.keys().isdisjoint(node.output)]
    del graph.node[:]
    graph.node.extend(kept)
    after = _read(kept) | {value.name for value in graph.output}
    constants = [tensor for tensor in graph.initializer if tensor.name in after or tensor.name not in before]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in folded.items() if name in after)
    return copy


def _read(nodes: Collection[NodeProto]) -> set[str]:
    return {name for node in nodes for name in node.input}
