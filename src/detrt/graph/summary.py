"""What an ONNX file holds, at a glance: for a person who has just been handed one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import onnx
from onnx import inliner

from detrt.coco_names import COCO_NAMES
from detrt.contract import ModelContract, contract_from_metadata
from detrt.errors import ContractError
from detrt.graph.macs import Macs, count_macs
from detrt.graph.onnx_file import input_specs, output_specs
from detrt.signature import TensorSpec, contract_from_signature

_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_INTEGER_WEIGHTS = ("int8", "uint8", "int4", "uint4", "float8e4m3fn", "float8e5m2", "float4e2m1")


@dataclass(frozen=True)
class Serving:
    """Whether detrt can serve a model, and by which contract.

    Attributes:
        contract: None where it cannot.
        origin: whether the contract was read from the file or inferred from the signature.
        unservable: why there is no contract; empty where there is one.
    """

    contract: ModelContract | None
    origin: Literal["file", "signature"] | None
    unservable: str


@dataclass(frozen=True)
class Quantization:
    """Q/DQ nodes, the types that they go through, and how many weighted nodes compute on what they give.

    Attributes:
        nodes: QuantizeLinear and DequantizeLinear nodes.
        types: what is quantised to, by number of DequantizeLinear nodes.
        covered: by operator, nodes whose two factors both come from a DequantizeLinear, and nodes in all.
    """

    nodes: int
    types: Mapping[str, int]
    covered: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class ModelSummary:
    """An ONNX model in numbers.

    Attributes:
        opsets: version by domain; the empty domain is ONNX's own.
        ir_version: of the file format.
        producer: who wrote it, as far as it says.
        inputs, outputs: what a caller feeds and gets.
        ops: nodes by operator, most frequent first, nodes of nested graphs included.
        parameters: elements of all floating-point and quantised weights, buffers included; shapes and scales are not.
        weights: the same by data type.
        macs: multiply-accumulates for one image.
        quantization: None where there is no Q/DQ node.
        serving: whether and how detrt would serve it.
    """

    opsets: Mapping[str, int]
    ir_version: int
    producer: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    ops: Mapping[str, int]
    parameters: int
    weights: Mapping[str, int]
    macs: Macs
    quantization: Quantization | None
    serving: Serving

    @property
    def nodes(self) -> int:
        """Nodes in all."""
        return sum(self.ops.values())


def summarise(model: onnx.ModelProto) -> ModelSummary:
    """Count and name what the model holds. It need not be one that detrt can serve."""
    flat = inliner.inline_local_functions(model) if model.functions else model
    weights = _weights(flat)
    inputs, outputs = input_specs(flat), output_specs(flat)
    return ModelSummary(
        opsets={entry.domain: entry.version for entry in model.opset_import},
        ir_version=model.ir_version,
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        inputs=inputs,
        outputs=outputs,
        ops=dict(Counter(_operator(node) for node in _all_nodes(flat.graph)).most_common()),
        parameters=weights.total(),
        weights=dict(weights.most_common()),
        macs=count_macs(flat),
        quantization=_quantization(flat),
        serving=serving_of({entry.key: entry.value for entry in model.metadata_props}, inputs, outputs),
    )


def serving_of(metadata: Mapping[str, str], inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Serving:
    """The contract in a file's metadata, else the one that `Detector` would infer, else why there is none."""
    try:
        if carried := contract_from_metadata(metadata):
            return Serving(carried, "file", "")
        return Serving(contract_from_signature(inputs, outputs, class_names=COCO_NAMES), "signature", "")
    except ContractError as error:
        return Serving(None, None, str(error))


def _weights(model: onnx.ModelProto) -> Counter[str]:
    """Elements of weights by type: floating point or quantised constants of which neither is a scale or zero point."""
    scaling = {name for node in _all_nodes(model.graph) if node.op_type in _QUANTIZERS for name in node.input[1:]}
    found = Counter[str]()
    for tensor in _all_constants(model.graph):
        kind = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
        if tensor.name not in scaling and ("float" in kind or kind == "double" or kind in _INTEGER_WEIGHTS):
            found[{"float": "float32", "double": "float64"}.get(kind, kind)] += prod(tensor.dims)
    return found


def _quantization(model: onnx.ModelProto) -> Quantization | None:
    nodes = list(_all_nodes(model.graph))
    ops = Counter(node.op_type for node in nodes)
    if not any(ops[name] for name in _QUANTIZERS):
        return None
    kinds = {tensor.name: tensor.data_type for tensor in _all_constants(model.graph)}
    dequantized, types = set[str](), Counter[str]()
    for node in nodes:
        if node.op_type == "QuantizeLinear":
            stated = next((attribute.i for attribute in node.attribute if attribute.name == "output_dtype"), 0)
            zero = kinds.get(node.input[2], 0) if len(node.input) > 2 else 0
            kinds[node.output[0]] = zero or stated or onnx.TensorProto.UINT8  # the operator's own default
        elif node.op_type == "DequantizeLinear":
            dequantized.add(node.output[0])
            types[onnx.TensorProto.DataType.Name(kinds.get(node.input[0], 0)).lower()] += 1
    covered = {
        kind: (sum(dequantized.issuperset(node.input[:2]) for node in nodes if node.op_type == kind), ops[kind])
        for kind in _WEIGHTED
        if ops[kind]
    }
    return Quantization(sum(ops[name] for name in _QUANTIZERS), dict(types.most_common()), covered)


def _operator(node: onnx.NodeProto) -> str:
    """`Conv`, or `domain::Name` for an operator that is not ONNX's own."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"


def _all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph and of the graphs that If, Loop and Scan hold."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for nested in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else ())):
                yield from _all_nodes(nested)


def _all_constants(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Initialisers, and the tensors of Constant nodes under the name of what they give."""
    yield from graph.initializer
    for node in _all_nodes(graph):
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.HasField("t"):
                tensor = onnx.TensorProto(dims=attribute.t.dims, data_type=attribute.t.data_type, name=node.output[0])
                yield tensor
            yield from attribute.g.initializer
