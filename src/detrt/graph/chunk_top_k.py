"""The best of a long row, found among the best of its chunks."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx import NodeProto

from detrt.graph.passes import PassResult
from detrt.graph.splice import Splice, integer, splice_of

LONG = 6000
"""Elements from which a row is worth cutting; what the second of the two rounds looks through stays below."""

MOST_IN_CHUNK = 3000
FEWEST_CHUNKS = 4
"""Measured with TensorRT-RTX 1.6.1 on an H100: one TopK over 24,000 scores takes 45 us, as one thread block walks the
row; in 8 chunks of 3,000, one block each, 14 us; in 24 chunks it is slower again, as the second round grows. 8,400
scores are best in 4 chunks."""


def chunk_top_k(model: onnx.ModelProto) -> PassResult:
    """Find the top k of a long row in two rounds: of each chunk, then of all that these give.

    The result is the same to the last bit and in the same order. Among equals, TopK takes the lowest index first; the
    chunks follow one another in the row's order, so that what stands first among equals in the second round stood first
    in the row.

    Concerns every TopK along the last axis of a tensor of fixed shape, of any batch, with a constant k, whose row can
    be cut into equal chunks of k elements or more.
    """
    splice = splice_of(model)
    if splice is None:
        return PassResult(model, changed=False)
    for node in splice.nodes:
        if node.op_type == "TopK" and (k := _constant_k(splice, node)):
            shape = splice.shape(node.input[0])
            if shape and integer(node, "axis", -1) in (-1, len(shape) - 1) and (chunks := chunks_of(shape[-1], k)):
                _chunk(splice, node, shape, k, chunks)
    return splice.result()


def chunks_of(length: int, k: int) -> int | None:
    """Into how many chunks to cut a row: the fewest, of equal length, that keep a thread block's share small."""
    if length < LONG:
        return None
    most = min(length // k, (LONG - 1) // k)
    fitting = (n for n in range(FEWEST_CHUNKS, most + 1) if length % n == 0 and length // n <= MOST_IN_CHUNK)
    return next(fitting, None)


def _constant_k(splice: Splice, node: NodeProto) -> int:
    """k; 0 where it is computed, or where the order of the result is left open."""
    value = splice.constant(node.input[1])
    return int(value.item()) if value is not None and integer(node, "sorted", 1) else 0


def _chunk(splice: Splice, node: NodeProto, shape: tuple[int, ...], k: int, chunks: int) -> None:
    rows, length = prod(shape[:-1]), shape[-1] // chunks
    lead = (rows,) if rows > 1 else ()
    order = {"largest": integer(node, "largest", 1), "sorted": 1}
    patch = splice.patch(node)

    cut = patch.reshape("cut", node.input[0], *lead, chunks, length)
    best, places = patch.add_many("TopK", "of_chunk", cut, node.input[1], gives=("", ""), axis=-1, **order)
    starts = patch.constant("starts", np.arange(0, shape[-1], length, dtype=np.int64)[:, None])
    places = patch.add("Add", "places", places, starts)
    best = patch.reshape("joined", best, *lead, chunks * k)
    places = patch.reshape("joined_places", places, *lead, chunks * k)
    best, winners = patch.add_many("TopK", "of_all", best, node.input[1], gives=("", ""), axis=-1, **order)
    places = patch.add("GatherElements" if lead else "Gather", "winners", places, winners, axis=-1)

    values, indices = node.output
    patch.reshape("values", best, *shape[:-1], k, gives=values)
    patch.reshape("indices", places, *shape[:-1], k, gives=indices)
