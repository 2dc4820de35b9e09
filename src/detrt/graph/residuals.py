"""Which input of a residual addition to quantise, so that TensorRT can add it inside the convolution."""

from __future__ import annotations

from collections.abc import Collection

from detrt.graph.index import GraphIndex


def residual_inputs(graph: GraphIndex, quantized: Collection[str]) -> set[tuple[str, int]]:
    """(node key, slot) of the skipping branch of every Add that closes a residual connection around a convolution.

    One input of such an Add comes straight from a convolution that nobody else reads; the other, the skipping branch,
    is a tensor that is quantised anyway for the products that read it. Only the latter gets a quantiser: the
    convolution's own sum goes into the addition before it is rounded, as TensorRT's fused kernel does it.

    Args:
        graph: the float graph.
        quantized: tensors that have a quantiser already.
    """
    found = set()
    for node in graph.nodes:
        if node.op_type != "Add":
            continue
        for slot, name in enumerate(node.input):
            other = node.input[1 - slot]
            maker = graph.producer.get(other)
            straight = maker is not None and graph.nodes[maker].op_type == "Conv" and len(graph.uses[other]) == 1
            if straight and name in quantized and other not in quantized:
                found.add((node.output[0], slot))
    return found
