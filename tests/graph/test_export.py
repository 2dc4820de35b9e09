"""The exported graph: what it computes, and how it is made."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from detrt.contract import ModelContract
from detrt.engine.builder import build_engine
from detrt.engine.options import BuildOptions
from detrt.errors import UsageError
from detrt.graph.agreement import match
from detrt.graph.export import ExportOptions, onnx_from_model
from detrt.graph.onnx_file import contract_from_onnx, input_specs, save
from detrt.models.attention import Sampler
from detrt.models.rtdetrv2 import RTDETRv2, detections
from detrt.models.variants import R18VD, Variant
from detrt.runtime.onnxruntime import OnnxRuntime
from tests.models.seeded import SMALL, pictures, seeded_model

BUILT_IN: tuple[Sampler, ...] = ("grid-sample", "gather")
"""Samplers of standard operators."""

NODES = 360
"""The most that a static export of r18vd may have; that of transformers, simplified, has 515, without decoding."""

HISTOGRAM = {"Conv": 53, "Gemm": 48, "LayerNormalization": 12, "GridSample": 9, "MatMul": 8, "Softmax": 7, "TopK": 2}
"""53 convolutions: 23 in the backbone, 3 + 2 + 2 projections, 4 fusion blocks of 5, and 3 for all readers of memory.
48 Gemms: 4 of AIFI, 12 a decoder layer, score heads and box heads. 8 products of self-attention, two for each of four.
"""

CHAINS = {"Shape", "Expand", "ConstantOfShape", "Range", "NonZero", "Loop", "If", "BatchNormalization", "Identity"}


@pytest.fixture(scope="module")
def r18vd() -> RTDETRv2:
    return seeded_model(R18VD)


@pytest.fixture(scope="module")
def static(r18vd: RTDETRv2) -> onnx.ModelProto:
    return exported(r18vd, ExportOptions())


def exported(model: RTDETRv2, options: ExportOptions) -> onnx.ModelProto:
    return onnx_from_model(model, contract_of(model.variant, options), options)


def contract_of(variant: Variant, options: ExportOptions) -> ModelContract:
    return ModelContract(
        input_size=variant.size,
        output_form=options.output,
        sizes_name="orig_target_sizes" if options.output == "detections" else None,
        family="rtdetrv2",
        variant=variant.name,
    )


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def test_static_export_has_few_nodes(static: onnx.ModelProto) -> None:
    assert len(static.graph.node) <= NODES


def test_static_export_has_the_nodes_that_it_should(static: onnx.ModelProto) -> None:
    found = operators(static)
    assert {operator: found[operator] for operator in HISTOGRAM} == HISTOGRAM


@pytest.mark.parametrize(("sampler", "batch"), [*product(BUILT_IN, [1, 3, None]), ("plugin", None)])
def test_nothing_constant_is_computed_at_run_time(sampler: Sampler, batch: int | None) -> None:
    model = exported(seeded_model(SMALL), ExportOptions(batch=batch, sampler=sampler))
    assert not CHAINS & operators(model).keys()


def test_contract_travels_inside(static: onnx.ModelProto) -> None:
    assert contract_from_onnx(static) == contract_of(R18VD, ExportOptions())
    assert [str(spec) for spec in input_specs(static)] == [
        "images float32 (1, 3, 640, 640)",
        "orig_target_sizes int64 (1, 2)",
    ]


def test_nodes_are_named_by_module_path(static: onnx.ModelProto) -> None:
    names = [node.name for node in static.graph.node]
    assert len(set(names)) == len(names)
    assert {
        "/backbone/conv1/conv1_1/conv/Conv",
        "/backbone/res_layers.3/blocks.1/branch2b/conv/Conv",
        "/encoder/fpn_blocks.0/bottlenecks.2/conv/Conv",
        "/decoder/layers.0/cross_attn/sampling_offsets/Gemm",
        "/decoder/layers.2/cross_attn/GridSample_2",
        "/decoder/dec_score_head/Gemm",
    } <= set(names)
    constants = [tensor.name for tensor in static.graph.initializer]
    assert "/decoder/layers.1/linear1/Gemm.weight" in constants
    assert not [name for name in constants if "::" in name or name.isdigit()]


def test_two_exports_are_the_same_file() -> None:
    first, second = (exported(seeded_model(SMALL), ExportOptions()) for _ in range(2))
    assert first.SerializeToString() == second.SerializeToString()


@pytest.mark.parametrize("opset", [17, 18])
def test_opset_is_the_one_asked_for(opset: int) -> None:
    model = exported(seeded_model(SMALL), ExportOptions(opset=opset))
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]


@pytest.mark.parametrize("options", [{"opset": 16}, {"batch": 0}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ExportOptions(**options)


@pytest.mark.parametrize(
    ("sampler", "size"), [*product(BUILT_IN, [(640, 640), (512, 512), (480, 640)]), ("plugin", (480, 640))]
)
def test_one_dynamic_file_serves_every_batch(sampler: Sampler, size: tuple[int, int]) -> None:
    model = seeded_model(SMALL.sized(size))
    with OnnxRuntime(exported(model, ExportOptions(batch=None, sampler=sampler)).SerializeToString()) as runtime:
        for batch in (1, 2, 8):
            require_equal(model, runtime, batch)


@pytest.mark.parametrize("variant", [replace(SMALL, sampling="discrete"), replace(SMALL, bottleneck=True)])
@pytest.mark.parametrize("batch", [1, 3])
def test_other_variants_export(variant: Variant, batch: int) -> None:
    model = seeded_model(variant)
    with OnnxRuntime(exported(model, ExportOptions(batch=batch, opset=18)).SerializeToString()) as runtime:
        require_equal(model, runtime, batch)


@pytest.mark.slow
def test_r18vd_equals_pytorch_at_every_batch(r18vd: RTDETRv2) -> None:
    with OnnxRuntime(exported(r18vd, ExportOptions(batch=None)).SerializeToString()) as runtime:
        for batch in (1, 2, 8):
            require_equal(r18vd, runtime, batch)


def test_raw_outputs_equal_pytorch_query_by_query() -> None:
    model = seeded_model(SMALL)
    images = pictures(SMALL.size, 1)
    with OnnxRuntime(exported(model, ExportOptions(output="raw")).SerializeToString()) as runtime:
        found = runtime.run({"images": images.numpy()})
    with torch.inference_mode():
        logits, boxes = model(images)
    np.testing.assert_allclose(found["logits"], logits, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found["boxes"], boxes, rtol=0, atol=1e-4)


def test_tensorrt_rtx_parses_and_builds_it(tmp_path: Path, static: onnx.ModelProto) -> None:
    save(static, tmp_path / "r18.onnx")
    options = BuildOptions(flavour="tensorrt_rtx", targets=("8.9",))
    assert build_engine(tmp_path / "r18.onnx", tmp_path / "r18.engine", options).engine.stat().st_size > 1 << 20


def require_equal(model: RTDETRv2, runtime: OnnxRuntime, batch: int) -> None:
    """Every detection of every image has its partner, whatever the order of near-ties."""
    variant = model.variant
    images = pictures(variant.size, batch)
    sizes = torch.tensor([[variant.size[1], variant.size[0]]] * batch)
    found = runtime.run({"images": images.numpy(), "orig_target_sizes": sizes.numpy()})
    with torch.inference_mode():
        logits, boxes = model(images)
        expected = [part.numpy() for part in detections(logits, boxes, sizes, variant.queries)]
    for image in range(batch):
        labels, corners, scores = (part[image] for part in expected)
        other = (found["labels"][image], found["boxes"][image], found["scores"][image])
        agreement = match((labels, corners, scores), other, max(variant.size))
        assert agreement.holds, (batch, image, agreement)
        assert agreement.matched >= 0.99 * agreement.total
