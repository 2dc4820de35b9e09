"""Where this family's engines are known to go wrong, found in a graph by structure, quantised or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from detrt.graph.quantized_linear import Links

_QUANTIZERS = frozenset({"QuantizeLinear", "DequantizeLinear"})
_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


@dataclass(frozen=True)
class Culprit:
    """Tensors to mark together, and why."""

    name: str
    tensors: tuple[str, ...]


def known_culprits(model: onnx.ModelProto) -> list[Culprit]:
    """In the order to try them, smallest first.

    TensorRT 10.7 and 10.9 merge the sampling offsets and the attention weights of a decoder layer into one product and
    lose the bias of the offsets; and they quantise the levels before joining them, where the join has one scale for
    each position (docs/compare.md).
    """
    graph = Links(model)
    pairs = list(_offset_pairs(graph))
    offsets = tuple(offset for offset, _ in pairs)
    both = tuple(tensor for pair in pairs for tensor in pair)
    joined = tuple(_joined_levels(graph))
    found = [
        Culprit("the sampling offsets of every decoder layer", offsets),
        Culprit("the sampling offsets and attention weights of every decoder layer", both),
        Culprit("the joined levels that the values are projected from", joined),
    ]
    return [culprit for culprit in found if culprit.tensors]


def markable(model: onnx.ModelProto) -> list[str]:
    """Every tensor worth marking: what products give, behind their bias, and joins; in the graph's order."""
    graph = Links(model)
    found = []
    for node in graph.nodes:
        if node.op_type in _PRODUCTS:
            found.append(_with_bias(graph, node.output[0]))
        elif node.op_type == "Concat" and not _is_shape(graph, node):
            found.append(node.output[0])
    return list(dict.fromkeys(found))


def _offset_pairs(graph: Links) -> Iterator[tuple[str, str]]:
    """(sampling offsets, attention weights): two linears of one tensor; one ends in a softmax, one is twice as wide."""
    linears: dict[str, list[tuple[str, int]]] = {}
    for node in graph.nodes:
        linear = _linear(graph, node)
        if linear:
            source, output, size = linear
            linears.setdefault(source, []).append((output, size))
    for readers in linears.values():
        for weights, size in readers:
            if graph.ends_in_softmax(weights):
                others = [output for output, other in readers if other == 2 * size and output != weights]
                if len(others) == 1:
                    yield others[0], weights


def _linear(graph: Links, node: onnx.NodeProto) -> tuple[str, str, int] | None:
    """What a linear layer reads (before its quantiser), what it gives, and how many outputs it has."""
    if node.op_type not in ("Gemm", "MatMul"):
        return None
    output = _with_bias(graph, node.output[0])
    maker = graph.maker(output)
    assert maker is not None
    biases = [graph.constant(name) for name in (maker.input[2:] if maker.op_type == "Gemm" else maker.input)]
    sizes = [bias.size for bias in biases if bias is not None and bias.ndim == 1]
    return (_before_quantizer(graph, node.input[0]), output, sizes[0]) if sizes else None


def _with_bias(graph: Links, name: str) -> str:
    readers = [graph.nodes[number] for number in graph.readers.get(name, ())]
    if (
        len(readers) == 1
        and readers[0].op_type == "Add"
        and any(graph.constant(i) is not None for i in readers[0].input)
    ):
        return str(readers[0].output[0])
    return name


def _before_quantizer(graph: Links, name: str) -> str:
    node = graph.maker(name)
    while node is not None and node.op_type in _QUANTIZERS:
        name = node.input[0]
        node = graph.maker(name)
    return name


def _joined_levels(graph: Links) -> Iterator[str]:
    """Joins of rows (axis 1 of three) that come from reshaped levels and go into a product."""
    for node in graph.nodes:
        axis = next((item.i for item in node.attribute if item.name == "axis"), None)
        if node.op_type != "Concat" or axis not in (1, -2) or len(node.input) < 2:
            continue
        makers = [graph.maker(_before_quantizer(graph, name)) for name in node.input]
        if all(maker is not None and maker.op_type in ("Transpose", "Reshape") for maker in makers) and _feeds_product(
            graph, node.output[0]
        ):
            yield node.output[0]


def _feeds_product(graph: Links, name: str) -> bool:
    pending = [name]
    while pending:
        for number in graph.readers.get(pending.pop(), ()):
            node = graph.nodes[number]
            if node.op_type in ("MatMul", "Gemm"):
                return True
            if node.op_type in _QUANTIZERS:
                pending.append(node.output[0])
    return False


def _is_shape(graph: Links, node: onnx.NodeProto) -> bool:
    """Whether a join puts a shape together, not data."""
    readers = [graph.nodes[number] for number in graph.readers.get(node.output[0], ())]
    return bool(readers) and all(
        reader.op_type in ("Reshape", "Expand", "Resize", "Tile", "Slice", "ConstantOfShape", "Concat", "Split")
        and node.output[0] in reader.input[1:]
        for reader in readers
    )
