"""A checkpoint calibrated in PyTorch by ModelOpt's quantisers, and exported with Q/DQ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from detrt.engine.builder import build_engine
from detrt.engine.options import BuildOptions
from detrt.errors import ModelError, UsageError
from detrt.graph.export import ExportOptions
from detrt.graph.export_file import export_checkpoint
from detrt.graph.index import GraphIndex
from detrt.graph.onnx_file import load
from detrt.models.variants import VARIANTS
from detrt.quantize.formats import Precision
from detrt.quantize.quantizer import Ranges
from detrt.quantize.recipe import load_recipe
from detrt.quantize.run import quantize
from detrt.quantize.torch_ranges import ranges_in_torch
from detrt.quantize.workbench import Workbench, open_workbench
from detrt.runtime.base import Array
from detrt.runtime.onnxruntime import OnnxRuntime
from tests.models.seeded import SMALL, seeded_model

pytest.importorskip("modelopt.torch")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a model with a quarter of R18's width, which is a variant like any other here."""
    path = tmp_path_factory.mktemp("checkpoint") / "small.pth"
    torch.save({"model": seeded_model(SMALL).state_dict()}, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, SMALL.name, SMALL)
        yield path


@pytest.fixture(scope="module")
def exported(checkpoint: Path, photos: Path) -> Workbench:
    """The export, on photos of the toy."""
    path = checkpoint.with_suffix(".onnx")
    export_checkpoint(checkpoint, path, ExportOptions(batch=None))
    return open_workbench(path, [str(photos)], limit=4)


@pytest.mark.parametrize(("precision", "ranges", "close"), [("fp8", "max", 1e-4), ("int8", "percentile", 0.03)])
def test_ranges_are_those_of_the_onnx_route(
    exported: Workbench, checkpoint: Path, precision: Precision, ranges: Ranges, close: float
) -> None:
    settings = replace(load_recipe("safe").settings(precision), ranges=ranges, linear_ranges=ranges)
    given = ranges_in_torch(checkpoint, exported.products, exported.photos, settings)
    assert {product.activations[0] for product in exported.products if product.op == "Conv"} < given.keys()
    ours, theirs = exported.quantizer(replace(settings, compensate=False)), exported.quantizer(settings, given=given)
    for tensor in given:
        assert theirs.scale(tensor) == pytest.approx(ours.scale(tensor), rel=close)


def test_the_recipe_decides_where_and_the_result_builds(exported: Workbench, checkpoint: Path, tmp_path: Path) -> None:
    recipe, target = replace(load_recipe("safe"), compensate=False), tmp_path / "small.onnx"
    report = quantize(exported, target, precision="fp8", recipe=recipe, checkpoint=checkpoint, judge_engine=False)
    graph = GraphIndex(load(target))
    sources = {key: graph.producer.get(graph.nodes[graph.producer[key]].input[0]) for key in exported.groups}
    narrow = {
        key
        for key, source in sources.items()
        if source is not None and graph.nodes[source].op_type == "DequantizeLinear"
    }
    assert narrow == recipe.selected(exported.products, exported.groups)
    marks = next(product.key for product in exported.products if "enc_score_head" in product.name)
    wide, small = (_value(model, marks, exported) for model in (exported.source, target))
    assert np.corrcoef(wide.ravel(), small.ravel())[0, 1] > 0.99  # random weights find nothing to compare further on
    assert 0.5 < report.macs_share < 1
    assert build_engine(target, tmp_path / "small.engine", BuildOptions(precision="fp16")).engine.is_file()


def _value(path: Path, name: str, bench: Workbench) -> Array:
    """An inner tensor on the first photo."""
    model = load(path)
    model.graph.output.append(onnx.ValueInfoProto(name=name))
    with OnnxRuntime(model.SerializeToString(), device="cpu") as runtime:
        return runtime.run(next(iter(bench.photos)).feeds)[name]


def test_what_cannot_go_together_is_refused(exported: Workbench, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="search"):
        quantize(
            exported,
            tmp_path / "q.onnx",
            precision="int8",
            recipe=load_recipe("safe"),
            target_drop=1.0,
            checkpoint=checkpoint,
        )
    strange = [replace(product, name="/other/Conv") for product in exported.products]
    with pytest.raises(ModelError, match="No layer"):
        ranges_in_torch(checkpoint, strange, exported.photos, load_recipe("safe").settings("int8"))
