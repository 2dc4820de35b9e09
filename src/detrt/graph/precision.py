"""The pass that puts a precision into the graph, so that a strongly typed network leaves TensorRT nothing to choose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import onnx

from detrt.graph import ops
from detrt.graph.fp8_sums import room_for_sums
from detrt.graph.index import GraphIndex, key_of
from detrt.graph.keep import must_stay
from detrt.graph.passes import PassResult
from detrt.graph.ranges import Ranges
from detrt.graph.regions import UNCUTTABLE, Link, wide_side
from detrt.graph.retype import retyped, with_typed_scales

Precision = Literal["fp32", "tf32", "fp16", "bf16"]

_CAST = 1 << 20  # what a cast costs beyond its traffic: a launch, worth about 1 MB of memory traffic on a large GPU


@dataclass(frozen=True)
class Kept:
    """A node that stays in float32: its name, operator, first output, and why."""

    node: str
    op: str
    output: str
    reason: str


@dataclass(frozen=True)
class PrecisionPlan:
    """Which nodes stay in float32.

    Attributes:
        precision: what the others become.
        wide: keys (`graph.index.key_of`) of the nodes that stay.
        kept: those of them that must stay, with their reasons, in the graph's order. The others of `wide` stay because
            casting around them would cost more than it saves.
        nodes: how many nodes compute floats at all; 0 where nobody counted, the graph staying as it is.
        measured: whether photos had a say.
    """

    precision: Precision
    wide: frozenset[str]
    kept: tuple[Kept, ...]
    nodes: int
    measured: bool

    def summary(self) -> str:
        """One line for people."""
        if self.precision in ("fp32", "tf32"):
            return f"{self.precision.upper()}: the graph stays as it is"
        basis = "found on calibration photos" if self.measured else "by operators and constants alone, without photos"
        return (
            f"{self.precision.upper()}: {len(self.wide)} of {self.nodes} nodes stay in FP32, "
            f"{len(self.kept)} of them because they must ({basis})"
        )

    def reasons(self) -> list[tuple[str, int]]:
        """Each reason and how many nodes it keeps, commonest first."""
        return Counter(kept.reason for kept in self.kept).most_common()


def with_precision(model: onnx.ModelProto, precision: Precision, *, ranges: Ranges | None = None) -> PassResult:
    """Put `precision` into the graph: weights converted, casts where types meet, inputs and outputs as they were.

    Args:
        model: a float32 model. Q/DQ nodes keep their integer types; what lies between them becomes narrow.
        precision: `fp32` and `tf32` leave the graph alone (TF32 is how a builder computes float32, not a type).
        ranges: measured for the same model and precision (`measure_ranges`); without them, static rules decide.

    Raises:
        GraphError: the graph has control flow or half-precision tensors, or the ranges are another model's.
    """
    return with_plan(model, plan_precision(model, precision, ranges=ranges))


def plan_precision(model: onnx.ModelProto, precision: Precision, *, ranges: Ranges | None = None) -> PrecisionPlan:
    """Decide what `with_precision` will do, with reasons. Arguments and errors are the same."""
    if precision == "fp32" or precision == "tf32":
        return PrecisionPlan(precision, frozenset(), (), 0, measured=False)
    index = GraphIndex(model)
    index.refuse_narrow()
    floats = [number for number, node in enumerate(index.nodes) if index.computes_floats(node)]
    if ranges is not None:
        ranges.check_fits(model, precision)
    reasons = must_stay(index, precision, ranges)
    wide = _cheapest(index, set(reasons), ranges) & set(floats)
    kept = tuple(
        Kept(node.name or key_of(node), node.op_type, key_of(node), reasons[number])
        for number, node in enumerate(index.nodes)
        if number in reasons
    )
    keys = frozenset(key_of(index.nodes[number]) for number in wide)
    return PrecisionPlan(precision, keys, kept, len(floats), measured=ranges is not None)


def with_plan(model: onnx.ModelProto, plan: PrecisionPlan) -> PassResult:
    """Carry out a plan that was made for this model."""
    if plan.precision == "fp32" or plan.precision == "tf32":
        return PassResult(model, changed=False)
    ready = with_typed_scales(model)
    if plan.precision == "fp16":
        ready = room_for_sums(ready).model  # of FP8 products, which nothing else asks for
    return PassResult(retyped(GraphIndex(ready), plan.precision, plan.wide), changed=True)


def _cheapest(index: GraphIndex, must: set[int], ranges: Ranges | None) -> set[int]:
    """The nodes that stay in float32, given those that must: the division with the cheapest casts."""
    outside = len(index.nodes)  # one more vertex: what feeds the network and what reads its outputs, float32 both
    links: list[Link] = []
    for name in dict.fromkeys((*index.inputs, *index.producer)):
        if index.is_float(name):
            readers = {
                use.node for use in index.uses.get(name, ()) if index.nodes[use.node].op_type not in ops.OBSERVERS
            }
            consumers = (*sorted(readers), *((outside,) if name in index.outputs else ()))
            links.append(Link(index.producer.get(name, outside), consumers, _CAST + 6 * _elements(index, name, ranges)))
    links += _pairs(index)
    costs: dict[int, int] = {}
    for number, node in enumerate(index.nodes):
        if number in must or not index.computes_floats(node):
            continue
        if node.op_type in ops.PRODUCTS:
            costs[number] = UNCUTTABLE
        else:
            moved = {*index.float_inputs(node), *index.float_outputs(node)}
            costs[number] = 1 + 2 * sum(_elements(index, name, ranges) for name in moved)
    return wide_side(len(index.nodes) + 1, (outside, *must), costs, links)


def _pairs(index: GraphIndex) -> Iterator[Link]:
    """Quantisers of what the network computes, with the dequantisers of their codes, which no cast can come between.

    Left alone, all before a quantiser would stay in float32 wherever something must: 66 nodes more in DEIMv2-femto.
    """
    for number, node in enumerate(index.nodes):
        if node.op_type == "QuantizeLinear" and node.input[0] in index.producer:
            readers = (use.node for use in index.uses.get(node.output[0], ()))
            dequantizers = tuple(reader for reader in readers if index.nodes[reader].op_type == "DequantizeLinear")
            yield Link(number, dequantizers, UNCUTTABLE)


def _elements(index: GraphIndex, name: str, ranges: Ranges | None) -> int:
    measured = ranges.tensors.get(name) if ranges else None
    return measured.elements if measured else (index.element_count(name) or 1)
