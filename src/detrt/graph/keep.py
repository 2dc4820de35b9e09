"""Which nodes must stay in float32, and why: from what was measured on photos, and from where a node stands.

docs/precision.md tells the rules in words. Each returns reasons by node number; the first reason found is the one told.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

import numpy as np
import onnx
from onnx import NodeProto

from detrt.graph import ops
from detrt.graph.index import GraphIndex, key_of
from detrt.graph.ranges import Narrow, Ranges

Reasons = dict[int, str]

_UNIT_ROUNDING = {"fp16": 2.0**-11, "bf16": 2.0**-8}
_LARGEST = {"fp16": 65504.0, "bf16": float(np.finfo(np.float32).max)}
_SMALLEST = {"fp16": 2.0**-24, "bf16": 2.0**-133}
_SMALLEST_NORMAL = {"fp16": 2.0**-14, "bf16": 2.0**-126}

HEADROOM = 4.0
"""Photos that were not measured may reach this many times further than those that were."""

TOLERATED_ROUNDINGS = 32.0
"""A node may add this many unit roundings of noise (5 bits): 1.6 % of its outputs' spread in FP16, 12.5 % in BF16."""


def must_stay(index: GraphIndex, narrow: Narrow, ranges: Ranges | None) -> Reasons:
    """Why each node that must stay in float32 must. Without `ranges`, by operators, constants and place only."""
    decoding = _decoding(index)
    reasons = dict(decoding)
    rules = [_opaque(index), _constants(index, narrow), _scales(index, narrow)]
    if ranges is None:
        rules.append(_unmeasured(index, narrow))
    else:
        rules += [_range(index, narrow, ranges), _noise(index, narrow, ranges, decoding)]
    for rule in rules:
        for number, reason in rule:
            reasons.setdefault(number, reason)
    return reasons


def _opaque(index: GraphIndex) -> Iterator[tuple[int, str]]:
    """Operators whose types are not the graph's to choose."""
    for number, node in enumerate(index.nodes):
        is_foreign = not ops.is_standard(node.domain) and (node.domain, node.op_type) not in ops.ANY_FLOAT
        if index.computes_floats(node) and (is_foreign or node.op_type in ops.OPAQUE):
            yield number, f"{node.op_type} fixes its own types"


def _constants(index: GraphIndex, narrow: Narrow) -> Iterator[tuple[int, str]]:
    """Constants that the narrow type cannot hold: too large, or all lost to zero, as an epsilon may be."""
    for number, node in enumerate(index.nodes):
        for name in node.input:
            if name not in index.constants or not index.is_float(name):
                continue
            values = np.abs(onnx.numpy_helper.to_array(index.constants[name]))
            values = values[np.isfinite(values) & (values > 0)]
            if not values.size:
                continue
            if values.max() > _LARGEST[narrow] and node.op_type != "Clip":  # a bound beyond the type bounds nothing
                yield number, f"its constant {values.max():.3g} is beyond {_name(narrow)}"
            elif values.max() < _SMALLEST[narrow]:
                yield number, f"its constant {values.max():.3g} is zero in {_name(narrow)}"


def _decoding(index: GraphIndex) -> Reasons:
    """Arithmetic on boxes, scores and positions: what follows the last learned layer on the way to a float output.

    Its results are pixels of photos up to thousands wide, or indices: 11 bits do not hold them. Walking back from the
    outputs stops at sums of products (with their bias) and at feature maps. Nodes that only pass numbers on stay where
    something before them computed in float32, so that nothing is rounded on the way.
    """
    found: Reasons = {}
    pending = [(name, f"leads from the last layer to the output {name}") for name in index.outputs]
    for node in index.nodes:
        wide = [node.input[slot] for slot in ops.FLOAT32_SLOTS.get(node.op_type, ()) if slot < len(node.input)]
        if node.op_type == "Cast" and not index.float_outputs(node):
            wide.append(node.input[0])
        pending += [(name, "counts positions") for name in wide]
    while pending:
        name, reason = pending.pop()
        number = index.producer.get(name)
        if number is None or number in found or not index.is_float(name):
            continue
        node = index.nodes[number]
        if not _is_layer(index, node):
            found[number] = reason
            pending += [(source, reason) for source in index.float_inputs(node)]
    for number in sorted(found):
        node = index.nodes[number]
        sources = (index.producer.get(name) for name in index.float_inputs(node))
        if node.op_type in ops.CARRIERS and not any(source in found for source in sources):
            del found[number]  # passes on what a layer made: narrow already
    return found


def _is_layer(index: GraphIndex, node: NodeProto) -> bool:
    """Whether a node belongs to the network proper: a product, the bias behind it, or work on feature maps."""
    if node.op_type in ops.SPATIAL:
        return True
    if node.op_type in ops.PRODUCTS:
        return not any(name in index.constants and index.rank(name) == 1 for name in node.input[:2])
    return _is_bias(index, node)


def _is_bias(index: GraphIndex, node: NodeProto) -> bool:
    """Whether a node adds a constant to a product."""
    if node.op_type != "Add" or not any(name in index.constants for name in node.input):
        return False
    sources = [index.producer[name] for name in node.input if name in index.producer]
    return any(index.nodes[source].op_type in ops.PRODUCTS for source in sources)


def _scales(index: GraphIndex, narrow: Narrow) -> Iterator[tuple[int, str]]:
    """Quantisers whose scales would lose bits: below the smallest normal number, or beyond the largest."""
    for number, node in enumerate(index.nodes):
        if node.op_type not in ops.QUANTIZERS:
            continue
        if node.input[1] not in index.constants:
            yield number, "its scale is computed at run time"
            continue
        scales = np.abs(onnx.numpy_helper.to_array(index.constants[node.input[1]]))
        if scales.size and (scales.min() < _SMALLEST_NORMAL[narrow] or scales.max() > _LARGEST[narrow]):
            yield number, f"its scales {scales.min():.3g} to {scales.max():.3g} lose bits in {_name(narrow)}"


def _unmeasured(index: GraphIndex, narrow: Narrow) -> Iterator[tuple[int, str]]:
    """Without photos: operators that leave FP16's range for ordinary inputs, and the mean of what they made."""
    if narrow == "bf16":
        return
    risky: set[int] = set()
    for number, node in enumerate(index.nodes):
        sources = {index.producer.get(name) for name in node.input}
        if index.computes_floats(node) and (
            node.op_type in ops.SQUARES or (node.op_type in ops.SUMS and sources & risky) or _squares(node)
        ):
            risky.add(number)
            yield number, "may leave FP16's range; no photos were measured"


def _squares(node: NodeProto) -> bool:
    return node.op_type == "Mul" and node.input[0] == node.input[1]


def _range(index: GraphIndex, narrow: Narrow, ranges: Ranges) -> Iterator[tuple[int, str]]:
    """Tensors, and sums inside reductions, that reach or may reach beyond the narrow type."""
    limit = _LARGEST[narrow] / HEADROOM
    for number, node in enumerate(index.nodes):
        for name in (*index.float_inputs(node), *index.float_outputs(node)):
            measured = ranges.tensors.get(name)
            if measured is not None and not measured.finite:
                yield number, f"{name} holds infinities"
            elif measured is not None and measured.absmax > limit:
                yield number, f"{name} reaches {measured.absmax:,.0f}"
        error = ranges.nodes.get(key_of(node))
        if error is not None and error.inner > limit:
            yield number, f"sums up to {error.inner:,.0f} inside"


def _noise(index: GraphIndex, narrow: Narrow, ranges: Ranges, decoding: Container[int]) -> Iterator[tuple[int, str]]:
    """Nodes that rounding hurts, and those that make what they read: a rounded input would hurt as much.

    What the decoding reads is the exception: the last layer's own rounding is what is meant by a narrow network.
    """
    limit = TOLERATED_ROUNDINGS * _UNIT_ROUNDING[narrow]
    for number, node in enumerate(index.nodes):
        error = ranges.nodes.get(key_of(node))
        if error is None or error.noise <= limit:
            continue
        yield number, f"rounding costs {_share(error.noise)} of what it tells apart"
        if number in decoding:
            continue
        for source in _makers(index, number):
            yield source, f"feeds {index.nodes[number].op_type} {key_of(node)}, which rounding hurts"


def _makers(index: GraphIndex, number: int) -> Iterator[int]:
    """The nodes that computed a node's float inputs, a product before its bias, and those that only passed them on."""
    pending, seen = list(index.float_inputs(index.nodes[number])), set()
    while pending:
        source = index.producer.get(pending.pop())
        if source is None or source in seen:
            continue
        seen.add(source)
        yield source
        if index.nodes[source].op_type in ops.CARRIERS or _is_bias(index, index.nodes[source]):
            pending += index.float_inputs(index.nodes[source])


def _share(noise: float) -> str:
    return f"{noise:.1%}" if noise < 1 else "more than all"


def _name(narrow: Narrow) -> str:
    return narrow.upper()
