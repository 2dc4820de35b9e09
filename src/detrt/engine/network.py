"""ONNX model to TensorRT network: strongly typed, so that every precision stands in the graph."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from detrt.engine import api
from detrt.engine.flavour import Flavour
from detrt.engine.log import gist
from detrt.engine.options import Shapes
from detrt.errors import EngineError
from detrt.signature import TensorSpec

_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT64": "int64",
    "INT32": "int32",
    "INT8": "int8",
    "UINT8": "uint8",
    "BOOL": "bool",
}


def network_from_onnx(model: onnx.ModelProto, builder: api.Builder, flavour: Flavour) -> api.Network:
    """Parse the model.

    Raises:
        EngineError: an operator or a shape that this TensorRT does not take; names every node that it stopped at.
    """
    flags = 1 << int(flavour.trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = flavour.trt.OnnxParser(network, flavour.log.native)
    with flavour.log.errors() as said:
        parsed = parser.parse(model.SerializeToString())
    if parsed and network.num_outputs:
        return network
    reasons = [_reason(parser.get_error(index)) for index in range(parser.num_errors)] or [gist(said)]
    raise EngineError(
        f"{flavour}'s ONNX parser refuses the model: {'; '.join(dict.fromkeys(reasons))}.",
        "Export it at opset 17 with the operators that TensorRT has"
        + ("." if flavour.is_rtx else ", or give the library that brings the missing ones: --plugin LIBRARY.so."),
    )


def fixed_to_profile(model: onnx.ModelProto, profile: Mapping[str, Shapes]) -> onnx.ModelProto:
    """A copy of the model whose dynamic axes are fixed where the profile leaves no choice.

    TensorRT tunes and specialises static shapes better, and the engine's signature then says what it takes.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for value in copy.graph.input:
        if value.name in profile:
            least, _, greatest = profile[value.name]
            for axis, low, high in zip(value.type.tensor_type.shape.dim, least, greatest, strict=True):
                if low == high:
                    axis.dim_value = low
    for value in (*copy.graph.output, *copy.graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if not axis.HasField("dim_value"):
                axis.Clear()  # a named axis may contradict the number that it now is; the parser infers it anyway
    return copy


def network_inputs(network: api.Network) -> tuple[TensorSpec, ...]:
    """What the network takes."""
    return tuple(spec_of(network.get_input(index)) for index in range(network.num_inputs))


def network_outputs(network: api.Network) -> tuple[TensorSpec, ...]:
    """What it returns."""
    return tuple(spec_of(network.get_output(index)) for index in range(network.num_outputs))


def spec_of(tensor: api.Tensor) -> TensorSpec:
    """Name, shape and dtype of a tensor of a network."""
    return TensorSpec(tensor.name, axes_of(tensor.shape), dtype_of(tensor.dtype))


def axes_of(shape: object) -> tuple[int | None, ...]:
    """TensorRT's shape as ours: -1 is a dynamic axis, None."""
    axes: list[int] = list(shape)  # type: ignore[call-overload]
    return tuple(None if axis < 0 else int(axis) for axis in axes)


def dtype_of(dtype: api.Member) -> str:
    """TensorRT's data type by numpy's name.

    Raises:
        EngineError: it has none.
    """
    if dtype.name not in _DTYPES:
        raise EngineError(
            f"A tensor of type {dtype.name} cannot be fed from here.", f"Use one of: {', '.join(_DTYPES.values())}."
        )
    return _DTYPES[dtype.name]


def _reason(error: api.ParserError) -> str:
    """For example `node 12 '/decoder/GridSample' (GridSample): opset 20 is not supported`."""
    where = f"node {error.node()}" if error.node() >= 0 else "the graph"
    name = f" '{error.node_name()}' ({error.node_operator()})" if error.node_name() or error.node_operator() else ""
    return f"{where}{name}: {' '.join(error.desc().split()).rstrip('.')}"
