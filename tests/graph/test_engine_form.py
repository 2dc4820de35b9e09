"""The rewrites together, on the graph that our exporter makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from detrt.contract import ModelContract
from detrt.engine.builder import build_engine
from detrt.engine.network import fixed_to_profile
from detrt.engine.options import Batch, BuildOptions, profile_of
from detrt.graph.emulate import emulated
from detrt.graph.engine_form import REWRITES, engine_form, in_engine_form
from detrt.graph.onnx_file import contract_from_onnx, input_specs, save
from detrt.graph.precision import with_precision
from detrt.runtime.base import Array
from tests.graph.rewritten import outputs_of, require_close, require_untouched, rewritten
from tests.graph.small_models import model_of, network
from tests.graph.test_chunk_top_k import top_k

HALVED, CHUNKED = "feed-forward blocks in halves", "long top-k in chunks"
ALL = tuple(what for what, _ in REWRITES)
SIZE = (128, 160)


@pytest.fixture(scope="module")
def exported() -> onnx.ModelProto:
    """An R18 with its own backbone and feed-forward width, narrow elsewhere, of a small picture."""
    return export(batch=1)


def export(batch: int | None) -> onnx.ModelProto:
    pytest.importorskip("torch")
    from detrt.graph.export import ExportOptions, onnx_from_model
    from tests.models.seeded import SMALL, seeded_model

    variant = replace(SMALL, stem=64, feedforward=1024, queries=80, classes=80, layers=1, evaluated=1, size=SIZE)
    contract = ModelContract(input_size=SIZE, family="rtdetrv2", variant=variant.name)
    return onnx_from_model(seeded_model(variant), contract, ExportOptions(batch=batch))


def test_every_rewrite_finds_its_place_and_detections_stay(exported: onnx.ModelProto) -> None:
    assert in_engine_form(exported).rewrites == ALL
    result = rewritten(exported, engine_form)
    assert contract_from_onnx(result) == contract_from_onnx(exported)
    wanted, given = outputs_of(exported, feeds(1)), outputs_of(result, feeds(1))
    assert np.array_equal(given["labels"], wanted["labels"])
    np.testing.assert_allclose(given["scores"], wanted["scores"], atol=1e-5)
    np.testing.assert_allclose(given["boxes"], wanted["boxes"], atol=1e-2)


def test_half_precision_is_as_close_as_without(exported: onnx.ModelProto) -> None:
    exact = outputs_of(exported, feeds(1))["scores"]
    before, after = (
        np.abs(outputs_of(emulated(with_precision(model, "fp16").model), feeds(1))["scores"] - exact).max()
        for model in (exported, engine_form(exported).model)
    )
    assert 0 < after < max(2 * before, 2e-3)


def test_graph_of_any_batch_is_rewritten_once_its_batch_is_fixed() -> None:
    model = export(batch=None)
    require_untouched(model, engine_form)
    one, two = (at_batch(model, batch) for batch in (1, 2))
    assert in_engine_form(one).rewrites == ALL
    require_close(one, rewritten(one, engine_form), feeds(1))
    assert in_engine_form(two).rewrites == (HALVED, CHUNKED)  # 80 queries each: two images have as few as one usually
    require_close(two, rewritten(two, engine_form), feeds(2))


@pytest.mark.shared
def test_another_detector_of_the_family_is_rewritten_where_it_fits(femto: Path) -> None:
    model = onnx.load(femto)
    require_untouched(model, engine_form)
    one = at_batch(model, 1)
    assert in_engine_form(one).rewrites == (CHUNKED,)


def test_tensorrt_builds_the_form_in_half_precision(exported: onnx.ModelProto, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    source, target = tmp_path / "small.onnx", tmp_path / "small.engine"
    save(exported, source)
    assert build_engine(source, target, BuildOptions(targets=("8.9",))).manifest.rewrites == ALL


def test_graph_without_anything_to_rewrite_stays() -> None:
    require_untouched(network(), engine_form)


def test_node_that_stands_for_a_plugin_is_not_expanded() -> None:
    model = top_k((1, 8400), 300)
    body = [helper.make_node("Abs", ["x"], ["y"])]
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("plugins", "Fast", ["x"], ["y"], body, opsets))
    model.opset_import.append(helper.make_opsetid("plugins", 1))
    model.graph.node[0].input[0] = "fast"
    model.graph.node.insert(0, helper.make_node("Fast", ["scores"], ["fast"], domain="plugins", name="/Fast"))
    result = rewritten(model, engine_form)
    assert result.functions == model.functions
    assert result.graph.node[0] == model.graph.node[0]
    require_close(model, result, {"scores": np.random.default_rng(0).standard_normal((1, 8400)).astype(np.float32)})


def test_graph_with_branches_stays() -> None:
    then, otherwise = (
        helper.make_graph(
            [helper.make_node(op, ["x"], [op])],
            op,
            [],
            [helper.make_tensor_value_info(op, onnx.TensorProto.FLOAT, [2])],
        )
        for op in ("Relu", "Abs")
    )
    positive = helper.make_node("Greater", ["first", "zero"], ["positive"])
    first = helper.make_node("ReduceSum", ["x"], ["first"], keepdims=0)
    branch = helper.make_node("If", ["positive"], ["y"], then_branch=then, else_branch=otherwise)
    model = model_of(
        [first, positive, branch],
        inputs={"x": (2,)},
        outputs={"y": (2,)},
        constants={"zero": np.array(0, np.float32)},
    )
    require_untouched(model, engine_form)


def at_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    return fixed_to_profile(model, profile_of(input_specs(model), Batch(batch, batch, batch), None))


def feeds(batch: int) -> dict[str, Array]:
    images = np.random.default_rng(0).random((batch, 3, *SIZE), np.float32)
    return {"images": images, "orig_target_sizes": np.array([SIZE[::-1]] * batch)}
