"""Pass: one `detrt::MultiHeadOffsets` for the two INT8 linears of each decoder layer's deformable attention.

Both read the same codes, so one kernel can read them once; and a kernel of one's own cannot be merged by a builder into
one that loses a bias. The pair is known by what becomes of it: of two linears on the same codes, one ends in a softmax
(the attention weights), and the other gives two numbers, x and y, for each of the first one's.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from detrt.graph.multi_head_offsets import multi_head_offsets, with_definition
from detrt.graph.passes import PassResult
from detrt.graph.quantized_linear import Links, QuantizedLinear, quantized_linears
from detrt.graph.unread import drop_unread


def fuse_offsets(model: onnx.ModelProto) -> PassResult:
    """Replace every pair; the outputs keep their names. Unchanged where there is no pair, as in a float model.

    The batch stays free: the node computes on any leading axes.
    """
    pairs = list(_pairs(Links(model)))
    if not pairs:
        return PassResult(model, changed=False)
    fused = onnx.ModelProto()
    fused.CopyFrom(model)
    nodes = list(fused.graph.node)
    replaced = {linear.place for pair in pairs for linear in pair}
    added = {
        min(attention.place, offsets.place): multi_head_offsets(attention, offsets, name=f"multi_head_offsets_{number}")
        for number, (attention, offsets) in enumerate(pairs)
    }
    del fused.graph.node[:]
    for number, node in enumerate(nodes):
        if number in added:
            fused.graph.node.append(added[number])
        elif number not in replaced:
            fused.graph.node.append(node)
    drop_unread(fused.graph)
    return PassResult(with_definition(fused), changed=True)


def _pairs(graph: Links) -> Iterator[tuple[QuantizedLinear, QuantizedLinear]]:
    """(attention weights, sampling offsets) of each layer, in the graph's order."""
    by_input: dict[tuple[str, bytes, bytes], list[QuantizedLinear]] = {}
    for linear in quantized_linears(graph):
        by_input.setdefault(linear.reads, []).append(linear)
    for linears in by_input.values():
        weights = [linear for linear in linears if graph.ends_in_softmax(linear.output)]
        others = [linear for linear in linears if linear not in weights]
        for attention in weights:
            offsets = [other for other in others if len(other.bias) == 2 * len(attention.bias)]
            if len(offsets) == 1:
                first = min(attention, offsets[0], key=lambda linear: linear.place)
                yield _reading(first.codes, attention), offsets[0]


def _reading(codes: str, linear: QuantizedLinear) -> QuantizedLinear:
    """The linear on the codes that exist before both of them: each may have had a quantiser of its own."""
    return QuantizedLinear(**vars(linear) | {"codes": codes})
