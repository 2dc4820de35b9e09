from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, helper

from detrt.graph.values_by_head import values_by_head
from detrt.runtime.base import Array
from tests.graph.rewritten import require_close, require_untouched, rewritten
from tests.graph.small_models import Shape, model_of

HEADS, FEATURES, HEIGHT, WIDTH, LAYERS, CHANNELS = 2, 4, 5, 3, 2, 6
HIDDEN = HEADS * FEATURES
PIXELS = HEIGHT * WIDTH


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("split_first", [True, False])
@pytest.mark.parametrize("memory_at", [0, 1, 2, None])
def test_maps_and_memory_are_the_same(split_first: bool, memory_at: int | None, bias: bool) -> None:
    model = projection(split_first=split_first, memory_at=memory_at, bias=bias)
    result = rewritten(model, values_by_head)
    assert "Conv" not in {node.op_type for node in result.graph.node}
    require_close(model, result, feeds())


def test_values_are_one_product_with_a_batch_of_all_heads() -> None:
    result = rewritten(projection(), values_by_head)
    weight = next(tensor for tensor in result.graph.initializer if tensor.name.endswith("/values.weight"))
    assert list(weight.dims) == [LAYERS * HEADS, CHANNELS, FEATURES]


@pytest.mark.parametrize("split_first", [True, False])
def test_two_images_and_open_batches_are_left_alone(split_first: bool) -> None:
    require_untouched(projection(batch=2, split_first=split_first), values_by_head)
    require_untouched(projection(batch="N", split_first=split_first), values_by_head)


@pytest.mark.parametrize("looked_at", ["all", "part_0", "part_1"])
def test_tensors_that_are_outputs_stay(looked_at: str) -> None:
    model = projection()
    model.graph.output.append(onnx.ValueInfoProto(name=looked_at))
    inferred = onnx.shape_inference.infer_shapes(model)
    model.graph.output[-1].CopyFrom(next(v for v in inferred.graph.value_info if v.name == looked_at))
    require_untouched(model, values_by_head)


def test_maps_that_something_else_reads_are_left_alone() -> None:
    model = projection()
    model.graph.node.append(helper.make_node("Relu", ["part_1"], ["elsewhere"], name="/Relu"))
    model.graph.output.append(helper.make_tensor_value_info("elsewhere", onnx.TensorProto.FLOAT, None))
    require_untouched(model, values_by_head)


def test_quantised_projection_is_left_alone() -> None:
    model = projection()
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(0.1, np.float32), "scale"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(0, np.int8), "zero"))
    model.graph.node.insert(0, helper.make_node("QuantizeLinear", ["images", "scale", "zero"], ["codes"], name="q"))
    model.graph.node.insert(1, helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["data"], name="dq"))
    model.graph.node[2].input[0] = "data"
    require_untouched(model, values_by_head)


def projection(
    *, batch: int | str = 1, split_first: bool = False, memory_at: int | None = 0, bias: bool = True
) -> onnx.ModelProto:
    """images, grid -> what two decoder layers sample of their values, and the memory as rows.

    `split_first` is how a graph of any batch is exported: the channels are split, and each part reshaped.
    """
    count = LAYERS + (memory_at is not None)
    names = [f"part_{number}" for number in range(count)]
    weights = {"w": noise(count * HIDDEN, CHANNELS, 1, 1)} | ({"b": noise(count * HIDDEN)} if bias else {})
    shapes = {"heads": [count * HEADS, FEATURES, HEIGHT, WIDTH], "map": [-1, FEATURES, HEIGHT, WIDTH]}
    if not isinstance(batch, int) or batch > 1:
        shapes["heads"][0] = -1
    share = HIDDEN if split_first else HEADS
    constants: dict[str, Array] = {name: np.array(shape) for name, shape in shapes.items()}
    constants |= {"parts": np.full(count, share), "flat": np.array([-1, HIDDEN, PIXELS])} | weights

    nodes: list[NodeProto] = [helper.make_node("Conv", ["images", *weights], ["all"], name="/memory/Conv")]
    if split_first:
        nodes.append(helper.make_node("Split", ["all", "parts"], names, name="/Split", axis=1))
    else:
        constants["parts"] = np.full(count, HEADS * (batch if isinstance(batch, int) else 1))
        nodes.append(helper.make_node("Reshape", ["all", "heads"], ["by_head"], name="/Reshape"))
        nodes.append(helper.make_node("Split", ["by_head", "parts"], names, name="/Split", axis=0))
    outputs: dict[str, Shape] = {}
    for number, name in enumerate(names):
        if number == memory_at:
            nodes.append(helper.make_node("Reshape", [name, "flat"], ["columns"], name="/memory/Reshape"))
            nodes.append(helper.make_node("Transpose", ["columns"], ["rows"], name="/Transpose", perm=[0, 2, 1]))
            outputs["rows"] = ("a", PIXELS, HIDDEN)
            continue
        if split_first:
            nodes.append(helper.make_node("Reshape", [name, "map"], [f"map_{number}"], name=f"/Reshape_{number}"))
            name = f"map_{number}"
        sampled = f"sampled_{number}"
        nodes.append(helper.make_node("GridSample", [name, "grid"], [sampled], name=f"/GridSample_{number}"))
        outputs[sampled] = ("a", FEATURES, 7, 2)
    images = (batch, CHANNELS, HEIGHT, WIDTH)
    grid = (HEADS * batch if isinstance(batch, int) else "M", 7, 2, 2)
    return model_of(nodes, inputs={"images": images, "grid": grid}, outputs=outputs, constants=constants)


def feeds() -> dict[str, Array]:
    return {"images": noise(1, CHANNELS, HEIGHT, WIDTH), "grid": noise(HEADS, 7, 2, 2) / 2}


def noise(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)
