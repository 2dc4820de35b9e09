"""The quantised graph: what gets quantisers, what the file holds, and that it still detects."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from detrt.errors import GraphError, NonFiniteError
from detrt.graph.centre import SHIFTED
from detrt.graph.index import GraphIndex
from detrt.graph.precision import with_precision
from detrt.graph.products import Product, find_products
from detrt.graph.quantizers import OPSET, at_opset, refuse_quantized
from detrt.quantize.formats import FORMATS, Precision
from detrt.quantize.groups import find_groups
from detrt.quantize.layout import bias_of
from detrt.quantize.observers import observe
from detrt.quantize.quantizer import Settings
from detrt.quantize.recipe import load_recipe
from detrt.quantize.workbench import Workbench, open_workbench
from detrt.runtime.onnxruntime import OnnxRuntime
from tests.quantize.toy import toy_detector

SETTINGS = {
    "int8": Settings("int8", "percentile", "percentile", 99.99, True, True),
    "fp8": Settings("fp8", "max", "max", 99.99, True, False),
}


def test_every_part_of_the_detector_is_found_without_names() -> None:
    graph = GraphIndex(toy_detector())
    found = Counter(find_groups(graph, find_products(graph)).values())
    assert found == {
        "stem": 1,
        "stage 1": 3,
        "stage 2": 2,
        "stage 3": 1,
        "CCFF": 2,
        "query selection": 2,
        "query_pos": 1,
        "self-attention": 6,
        "sampling_offsets": 1,
        "attention_weights": 1,
        "output_proj": 1,
        "FFN": 2,
        "heads": 2,
    }


def test_a_weight_is_found_behind_what_only_shapes_it() -> None:
    plain, shaped = toy_detector(), toy_detector()
    stored = {tensor.name: tensor for tensor in shaped.graph.initializer}
    for node in plain.graph.node:
        if node.op_type in ("Conv", "MatMul") and node.input[1] in stored:
            weight = stored[node.input[1]]
            reversed_axes = np.ascontiguousarray(onnx.numpy_helper.to_array(weight).T)
            turn = onnx.helper.make_node("Transpose", [f"{weight.name}/turned"], [weight.name])
            shaped.graph.node.insert(0, turn)
            weight.CopyFrom(onnx.numpy_helper.from_array(reversed_axes, f"{weight.name}/turned"))
    graphs = [GraphIndex(model) for model in (plain, shaped)]
    found, same = (find_products(graph) for graph in graphs)
    assert [replace(product, node=0) for product in same] == [replace(product, node=0) for product in found]
    assert find_groups(graphs[1], same) == find_groups(graphs[0], found)


@pytest.mark.parametrize(("precision", "most"), [("int8", 0.04), ("fp8", 0.08)])
def test_compensation_keeps_the_features_close(bench: Workbench, precision: Precision, most: float) -> None:
    settings = SETTINGS[precision]
    keys = load_recipe("backbone-encoder").selected(bench.products, bench.groups)
    last = [product.key for product in bench.products if bench.groups[product.key] == "CCFF"][-1]
    exact = _values(bench.graph.model, last, bench)
    errors = []
    for compensate in (True, False):
        model = bench.quantizer(replace(settings, compensate=compensate)).model(keys)
        onnx.checker.check_model(model)
        error = _values(model, last, bench) - exact
        spread = float(exact.std())
        errors.append(
            (float(np.sqrt(np.square(error).mean())) / spread, float(np.abs(error.mean((0, 2, 3))).max()) / spread)
        )
    assert errors[0][0] < min(most, errors[1][0])
    assert errors[0][1] < 0.5 * errors[1][1]  # the mean of each channel is where it was


@pytest.mark.parametrize("precision", ["int8", "fp8"])
@pytest.mark.parametrize("group", ["CCFF", "FFN"])
def test_a_bias_takes_what_rounding_adds_to_each_channel(bench: Workbench, precision: Precision, group: str) -> None:
    """A product that is rounded alone keeps the mean of its output, which is off by 1e-3 and more uncorrected."""
    quantizer = bench.quantizer(SETTINGS[precision])
    for product in bench.products:
        if bench.groups[product.key] == group:
            place = bias_of(bench.graph, product)
            assert place
            output = bench.graph.nodes[bench.graph.producer[place[0]]].output[0]
            exact, narrow = (
                _values(model, output, bench) for model in (bench.graph.model, quantizer.model({product.key}))
            )
            error = (narrow - exact) / exact.std()
            assert error.any()
            channels = (0, 2, 3) if product.op == "Conv" else (0, 1)
            assert np.abs(error.mean(channels)).max() < 1e-4


def test_an_int8_toy_still_agrees(bench: Workbench) -> None:
    model = bench.quantizer(SETTINGS["int8"]).model({product.key for product in bench.products})
    loss = bench.reference.loss(model, len(bench.photos), sure_up_to=60)
    assert loss.points < 60  # the toy is not trained: the next class is never far
    assert loss.error is not None
    assert loss.points < loss.bound < loss.points + loss.error < 100
    same = bench.reference.loss(bench.graph.model, len(bench.photos), sure_up_to=60)
    assert (same.points, same.change, same.error) == pytest.approx((0, 0, 0), abs=1e-6)
    assert bench.reference.loss(model, len(bench.photos), sure_up_to=0.9 * loss.points).error is None


def _values(model: onnx.ModelProto, tensor: str, bench: Workbench) -> Any:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.append(onnx.ValueInfoProto(name=tensor))
    with OnnxRuntime(copy.SerializeToString()) as runtime:
        return np.concatenate([runtime.run(photo.feeds)[tensor] for photo in bench.photos])


def test_weights_are_stored_as_codes_and_each_activation_is_quantised_once(bench: Workbench) -> None:
    model = bench.quantizer(SETTINGS["int8"]).model({product.key for product in bench.products})
    sources = Counter(node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear")
    assert set(sources.values()) == {1}
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = [node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in stored]
    assert len(weights) == sum(product.weight is not None for product in bench.products)
    assert {stored[node.input[0]].data_type for node in weights} == {onnx.TensorProto.INT8}
    for product in bench.products:
        assert product.weight not in stored


def test_weight_scales_are_per_channel(bench: Workbench) -> None:
    model = bench.quantizer(SETTINGS["fp8"]).model({product.key for product in bench.products})
    graph = GraphIndex(model)
    for product in bench.products:
        if product.weight:
            node = graph.nodes[graph.producer[made_by(graph, product).input[1]]]
            codes, scales = (graph.constants[name] for name in node.input[:2])
            assert tuple(scales.dims) == (codes.dims[product.axis],)


def made_by(graph: GraphIndex, product: Product) -> onnx.NodeProto:
    """The product's node, whether or not its output has another name for the mean that it lacks."""
    return graph.nodes[graph.producer[product.key if product.key in graph.producer else product.key + SHIFTED]]


def test_only_the_skipping_branch_of_a_residual_is_quantised(bench: Workbench) -> None:
    convolutions = {product.key for product in bench.products if product.op == "Conv"}
    model = bench.quantizer(SETTINGS["int8"]).model(convolutions)
    graph = GraphIndex(model)
    rounded = {name for node in graph.nodes if node.op_type == "DequantizeLinear" for name in node.output}
    residual = [
        [name in rounded for name in node.input]
        for node in graph.nodes
        if node.op_type == "Add" and any(name in rounded for name in node.input)
    ]
    assert residual == [[False, True]]


def test_what_is_not_chosen_stays_bit_for_bit(bench: Workbench) -> None:
    quantizer = bench.quantizer(SETTINGS["int8"])
    head = bench.products[-1]
    one, none = quantizer.model({head.key}), bench.graph.model
    feed = dict(next(iter(bench.photos)).feeds)
    with OnnxRuntime(one.SerializeToString()) as narrow, OnnxRuntime(none.SerializeToString()) as wide:
        assert (narrow.run(feed)["boxes"] == wide.run(feed)["boxes"]).any() or head.key
    untouched = {tensor.name for tensor in none.graph.initializer} - {head.weight}
    kept = {tensor.name: tensor for tensor in one.graph.initializer}
    before = {tensor.name: tensor for tensor in none.graph.initializer}
    same = [name for name in untouched if name in kept]
    assert len(same) >= len(untouched) - 1  # its bias is corrected
    assert all(kept[name] == before[name] for name in same)


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_the_rest_becomes_fp16(bench: Workbench, precision: Precision) -> None:
    model = bench.quantizer(SETTINGS[precision]).model({product.key for product in bench.products})
    half = with_precision(model, "fp16").model
    graph = GraphIndex(half)
    for product in bench.products:
        types = set()
        for name in made_by(graph, product).input[:2]:
            node = graph.nodes[graph.producer[name]]
            types.add(graph.constants[node.input[1]].data_type if node.op_type == "DequantizeLinear" else -1)
        assert len(types) <= 1, f"{product.name} multiplies operands whose scales are of two types"


def test_a_quantised_graph_is_refused(bench: Workbench) -> None:
    model = bench.quantizer(SETTINGS["int8"]).model({bench.products[0].key})
    with pytest.raises(GraphError, match="quantised already"):
        refuse_quantized(model)


def test_a_model_of_a_fixed_batch_is_refused_before_the_work(photos: Path, tmp_path: Path) -> None:
    model = toy_detector()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, tmp_path / "four.onnx")
    with pytest.raises(GraphError, match="takes 4 images a run") as error:
        open_workbench(tmp_path / "four.onnx", [str(photos)])
    assert "--batch dynamic" in error.value.remedy


def test_non_finite_activations_are_named() -> None:
    model = toy_detector()
    weight = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    broken = np.array(onnx.numpy_helper.to_array(weight))
    broken[0] = np.inf
    weight.CopyFrom(onnx.numpy_helper.from_array(broken, weight.name))
    graph = GraphIndex(model)
    feed = {"images": np.ones((1, 3, 64, 64), np.float32), "orig_target_sizes": np.array([[64, 64]])}
    with pytest.raises(NonFiniteError, match="photo 1"):
        observe(graph, find_products(graph), [feed], total=1)


def test_scales_follow_the_range(bench: Workbench) -> None:
    largest = bench.calibrated(centred=False).observed.histograms
    quantizer = bench.quantizer(Settings("int8", "max", "max"))
    for name, histogram in largest.items():
        assert float(quantizer.scale(name)) == pytest.approx(float(FORMATS["int8"].scale(histogram.largest)))


def test_an_older_model_with_functions_is_converted(bench: Workbench) -> None:
    model = toy_detector()
    old = [onnx.helper.make_opsetid("", 17)]
    body = [onnx.helper.make_node("Relu", ["a"], ["b"])]
    model.functions.append(onnx.helper.make_function("theirs", "Activation", ["a"], ["b"], body, old))
    model.opset_import.append(onnx.helper.make_opsetid("theirs", 1))
    for node in model.graph.node:
        if node.op_type == "Relu":
            node.op_type, node.domain = "Activation", "theirs"
    onnx.checker.check_model(model)
    converted = at_opset(model, OPSET)
    feed = dict(next(iter(bench.photos)).feeds)
    with OnnxRuntime(converted.SerializeToString()) as new, OnnxRuntime(model.SerializeToString()) as given:
        np.testing.assert_allclose(new.run(feed)["boxes"], given.run(feed)["boxes"], atol=1e-3)
