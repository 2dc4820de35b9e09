"""An engine's tensors by their ONNX names."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from detrt.compare.unfused import onnx_names
from detrt.profile.layers import Layer, LayerTensor


def model() -> onnx.ModelProto:
    """x -> Conv a -> Relu b -> (MatMul c -> Add d, Sigmoid e)."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a_out"], name="a"),
        helper.make_node("Relu", ["a_out"], ["b_out"], name="b"),
        helper.make_node("MatMul", ["b_out", "m"], ["c_out"], name="c"),
        helper.make_node("Add", ["c_out", "bias"], ["d_out"], name="d"),
        helper.make_node("Sigmoid", ["b_out"], ["e_out"], name="e"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("d_out", "e_out")]
    start = [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]
    return helper.make_model(helper.make_graph(nodes, "g", start, ends))


def layer(name: str, sources: tuple[str, ...], *outputs: str) -> Layer:
    return Layer(name, "kgen", sources, (), tuple(LayerTensor(output, (1,), "FP32", "") for output in outputs))


def test_what_leaves_the_nodes_leaves_the_layer() -> None:
    layers = [layer("conv", ("a", "b"), "__t1"), layer("gemm", ("c", "d"), "d_out"), layer("act", ("e",), "__t2")]
    assert onnx_names(layers, model()) == {"__t1": "b_out", "d_out": "d_out", "__t2": "e_out"}


def test_a_node_in_two_layers_is_complete_after_the_second() -> None:
    layers = [layer("half", ("a", "b"), "__t1"), layer("other half", ("b",), "__t2"), layer("rest", ("c",), "__t3")]
    assert onnx_names(layers, model()) == {"__t2": "b_out", "__t3": "c_out"}


def test_where_two_things_leave_nothing_is_guessed() -> None:
    layers = [layer("all", ("a", "b", "c", "d", "e"), "__t1", "__t2"), layer("wait", ())]
    assert onnx_names(layers, model()) == {}


def test_codes_are_not_taken_for_the_values_that_they_stand_for() -> None:
    quantised = model()
    quantised.graph.node[1].output[0] = "b_raw"
    quantised.graph.node.extend(
        [
            helper.make_node("QuantizeLinear", ["b_raw", "scale"], ["b_codes"], name="q"),
            helper.make_node("DequantizeLinear", ["b_codes", "scale"], ["b_out"], name="dq"),
        ]
    )
    layers = [layer("conv", ("a", "b", "q", "dq"), "__t1"), layer("gemm", ("c", "d"), "d_out"), layer("act", ("e",))]
    assert onnx_names(layers, quantised) == {"d_out": "d_out"}
