"""Centred inputs: the network computes the same, and what its products read has no mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from detrt.graph.centre import CentreInputs
from detrt.graph.index import GraphIndex, attribute
from detrt.runtime.onnxruntime import OnnxRuntime

Array = npt.NDArray[Any]
CHANNELS = 4
MEANS = np.array([3.0, -2.0, 0.5, 8.0], np.float32)


def network(*nodes: onnx.NodeProto, **constants: Array) -> onnx.ModelProto:
    """From `x`, (1, 4, 6, 5), to `y`."""
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, CHANNELS, 6, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "C", "H", "W"])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def photo() -> Array:
    """Channels of those means, in which little happens."""
    noise = np.random.default_rng(0).standard_normal((1, CHANNELS, 6, 5))
    return (noise + MEANS[:, None, None]).astype(np.float32)


def run(model: onnx.ModelProto, *tensors: str) -> dict[str, Array]:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    with OnnxRuntime(copy.SerializeToString()) as runtime:
        return dict(runtime.run({"x": photo()}))


def centred(model: onnx.ModelProto, tensor: str, mean: Array, weight: str) -> onnx.ModelProto:
    """The model with the input of `y`, a convolution, centred."""
    weights = numpy_helper.to_array(GraphIndex(model).constants[weight])
    bias = weights.sum((2, 3)) @ mean.reshape(-1)
    result = CentreInputs({tensor: mean.reshape(-1, 1, 1)}, frozenset(["y"]), {("y", 2): bias})(model)
    assert result.changed
    onnx.checker.check_model(result.model)
    return result.model


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 2, 1, 0]])
def test_a_convolution_gives_what_it_gave_at_its_border_too(pads: list[int]) -> None:
    weight = np.random.default_rng(1).standard_normal((3, CHANNELS, 3, 3))
    model = network(helper.make_node("Conv", ["x", "w"], ["y"], pads=pads, strides=[2, 1]), w=weight)
    after = centred(model, "x", MEANS, "w")
    name = next(node for node in after.graph.node if node.output[0] == "y").input[0]
    values = run(after, name)
    np.testing.assert_allclose(values["y"], run(model)["y"], atol=1e-4)
    inside = values[name][:, :, pads[0] : pads[0] + 6, pads[1] : pads[1] + 5]
    np.testing.assert_allclose(inside, photo() - MEANS[:, None, None], atol=1e-6)
    padded = attribute(GraphIndex(after).nodes[-1], "pads")
    assert padded is not None
    assert not any(padded.ints)


def test_a_constant_that_is_added_takes_the_mean_in_the_branches_of_a_concatenation_too() -> None:
    weight = np.random.default_rng(2).standard_normal((3, 2 * CHANNELS, 1, 1))
    model = network(
        helper.make_node("Relu", ["x"], ["positive"]),
        helper.make_node("Add", ["positive", "shift"], ["shifted"]),
        helper.make_node("Concat", ["shifted", "positive"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "w"], ["y"]),
        w=weight,
        shift=np.array([-1.5]),
    )
    mean = np.concatenate([MEANS - 1.5, MEANS]).astype(np.float32)
    after = centred(model, "both", mean, "w")
    values = run(after, "both/centred")
    np.testing.assert_allclose(values["y"], run(model)["y"], atol=1e-4)
    np.testing.assert_allclose(values["both/centred"], run(model, "both")["both"] - mean[:, None, None], atol=1e-5)
    kinds = sorted(node.op_type for node in after.graph.node)
    assert kinds == ["Add", "Add", "Concat", "Conv", "Relu"]  # one addition has a new constant, one is new


def test_others_read_what_they_read() -> None:
    model = network(
        helper.make_node("Conv", ["x", "w"], ["other"]),
        helper.make_node("Conv", ["x", "w"], ["one"]),
        helper.make_node("Add", ["one", "other"], ["y"]),
        w=np.ones((1, CHANNELS, 1, 1)),
    )
    bias = np.array([MEANS.sum()], np.float32)
    after = CentreInputs({"x": MEANS.reshape(-1, 1, 1)}, frozenset(["one"]), {("one", 2): bias})(model).model
    reads = {node.output[0]: node.input[0] for node in after.graph.node}
    assert (reads["one"], reads["other"]) == ("x/centred", "x")
    np.testing.assert_allclose(run(after)["y"], run(model)["y"], atol=1e-4)


def test_nothing_to_centre_changes_nothing() -> None:
    model = network(helper.make_node("Relu", ["x"], ["y"]))
    assert CentreInputs({}, frozenset(), {})(model) == (model, False)
