"""What `inspect` reports of models that are served, foreign, quantised or not detectors at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from detrt.contract import ModelContract
from detrt.graph.onnx_file import load, with_contract
from detrt.graph.summary import summarise
from tests.graph.test_macs import model, node, weight


def test_a_foreign_detector_is_inferred_and_says_so(femto: Path) -> None:
    summary = summarise(load(femto))
    assert summary.serving.origin == "signature"
    assert summary.serving.contract is not None
    assert summary.serving.contract.input_size == (416, 416)
    assert "resize" in summary.serving.contract.assumed
    assert summary.opsets == {"": 17}
    assert [spec.name for spec in summary.outputs] == ["labels", "boxes", "scores"]
    assert summary.nodes == len(load(femto).graph.node)
    assert summary.quantization is None


def test_a_contract_in_the_file_is_read(femto: Path) -> None:
    contract = ModelContract(input_size=(416, 416), family="DEIMv2", variant="femto")
    summary = summarise(with_contract(load(femto), contract))
    assert summary.serving.origin == "file"
    assert summary.serving.contract == contract


def test_a_model_that_is_no_detector_says_why() -> None:
    summary = summarise(model([node("MatMul", "x w")], {"x": ["N", 16]}, {"w": weight(16, 8)}))
    assert summary.serving.contract is None
    assert "x float32 (N, 16)" in summary.serving.unservable
    assert summary.macs.total == 16 * 8


def test_a_damaged_contract_is_told_and_the_rest_still_counted() -> None:
    graph = model([node("MatMul", "x w")], {"x": ["N", 16]}, {"w": weight(16, 8)})
    helper.set_model_props(graph, {"detrt.contract": "1", "detrt.input_size": "not json"})
    summary = summarise(graph)
    assert "cannot be read" in summary.serving.unservable
    assert summary.ops == {"MatMul": 1}


def test_parameters_are_weights_and_not_shapes_or_scales() -> None:
    graph = model(
        [
            node("Reshape", "x target", "flat"),
            node("QuantizeLinear", "flat scale zero", "q"),
            node("DequantizeLinear", "q scale zero", "dq"),
            node("DequantizeLinear", "w scale zero", "dw"),
            node("MatMul", "dq dw", "a"),
            node("MatMul", "dq v"),  # its weight is not quantised
        ],
        {"x": [1, 4, 4]},
        {
            "target": np.array([1, 16]),
            "w": np.ones((16, 8), np.int8),
            "v": weight(16, 2),
            "scale": np.array(0.1, np.float32),
            "zero": np.array(0, np.int8),
        },
    )
    summary = summarise(graph)
    assert summary.weights == {"int8": 16 * 8, "float32": 16 * 2}
    assert summary.parameters == 16 * 8 + 16 * 2
    assert summary.quantization is not None
    assert summary.quantization.nodes == 3
    assert summary.quantization.types == {"int8": 2}
    assert summary.quantization.covered == {"MatMul": (1, 2)}
    assert summary.macs.total == 16 * 8 + 16 * 2


def test_nested_graphs_and_functions_are_counted() -> None:
    branch = helper.make_graph(
        [node("Relu", "x", "r"), node("Relu", "r", "z")],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )
    flag = helper.make_tensor("flag", TensorProto.BOOL, [], [True])
    graph = model([helper.make_node("If", ["flag"], ["y"], then_branch=branch, else_branch=branch)], {"x": [1]}, {})
    graph.graph.initializer.append(flag)
    assert summarise(graph).ops == {"Relu": 4, "If": 1}

    twice = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [node("Add", "a a", "b")], [helper.make_opsetid("", 17)]
    )
    called = model([helper.make_node("Twice", ["x"], ["y"], domain="mine")], {"x": [1]}, {})
    called.functions.append(twice)
    called.opset_import.append(onnx.helper.make_opsetid("mine", 1))
    assert summarise(called).ops == {"Add": 1}


def test_an_operator_of_another_domain_keeps_its_name() -> None:
    graph = model([helper.make_node("Magic", ["x"], ["y"], domain="mine")], {"x": [1, 3, 8, 8]}, {})
    graph.opset_import.append(helper.make_opsetid("mine", 1))
    assert summarise(graph).ops == {"mine::Magic": 1}
