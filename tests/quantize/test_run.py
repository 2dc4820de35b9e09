"""The whole of it: a float file in, a quantised file and a report out."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from detrt.detector import Detector, contract_of
from detrt.errors import GraphError, UsageError
from detrt.evaluate import CocoDataset, coco_dataset
from detrt.graph.index import GraphIndex
from detrt.graph.onnx_file import contract_from_onnx, load
from detrt.graph.onnx_file import save as save_model
from detrt.images.read import read_photo
from detrt.quantize.average_precision import measured_ap
from detrt.quantize.formats import Precision
from detrt.quantize.modelopt import placed_by_modelopt
from detrt.quantize.recipe import Recipe, load_recipe
from detrt.quantize.run import quantize
from detrt.quantize.sensitivity import sensitivity_of
from detrt.quantize.sensitivity_report import draw, save
from detrt.quantize.workbench import Workbench, open_workbench
from detrt.runtime.onnxruntime import OnnxRuntime


@pytest.fixture(scope="session")
def labelled(toy: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> CocoDataset:
    """A COCO set whose boxes are what the toy itself finds."""
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": 10 * label, "name": str(label)} for label in range(1, 5)]
    with Detector.open(toy, overrides={"class_names": ("1", "2", "3", "4")}) as detector:
        for number, path in enumerate(sorted(photos.iterdir()), start=1):
            content["images"].append({"id": number, "file_name": path.name})
            for row in detector(read_photo(path)).to_coco(number, (10, 20, 30, 40))[:3]:
                content["annotations"].append(row | {"id": len(content["annotations"]) + 1})
    path = tmp_path_factory.mktemp("coco") / "instances.json"
    path.write_text(json.dumps(content))
    return coco_dataset(path, photos)


@pytest.mark.parametrize(("precision", "rest"), [("int8", "fp16"), ("fp8", "fp32")])
def test_a_search_ends_in_a_file_that_runs_and_says_what_it_is(
    toy: Path, photos: Path, labelled: CocoDataset, tmp_path: Path, precision: Precision, rest: Any
) -> None:
    names = ("1", "2", "3", "4")
    bench = open_workbench(toy, [str(photos)], overrides={"class_names": names})
    target = tmp_path / "small.onnx"
    report = quantize(
        bench,
        target,
        precision=precision,
        recipe=load_recipe("safe"),
        target_drop=1.0,
        rest=rest,
        labelled=labelled,
    )
    model = load(target)
    contract = contract_from_onnx(model)
    assert contract is not None
    assert contract.class_names == names
    assert contract.calibration == f"{precision}, recipe safe, 12 of 12 photos, random with seed 0"
    assert 0 < report.macs_share <= 1
    assert report.judged.float_ap is not None
    assert report.judged.float_ap > 30
    assert report.judged.ap == pytest.approx(report.judged.float_ap, abs=25)
    told = json.loads(target.with_suffix(".json").read_text())
    assert told["macs_share"] == report.macs_share
    left = {row[0]: row[3] for row in told["left_out"]}
    assert all(left[product.name].startswith("depthwise") for product in bench.products if product.depthwise)
    assert any(product.depthwise for product in bench.products)
    share = sum(product.macs for product in bench.products if product.name not in left) / bench.macs
    assert share == pytest.approx(report.macs_share)
    halves = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16]
    assert bool(halves) == (rest == "fp16")


def test_a_search_that_labels_belie_is_made_again_at_their_price(
    toy: Path, photos: Path, labelled: CocoDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = open_workbench(toy, [str(photos)], limit=5, overrides={"class_names": ("1", "2", "3", "4")})
    told: list[float] = []  # in place of AP, which one cannot make fall as one likes

    def ap(model: Path, *_: object, **__: object) -> float:
        if model == bench.source:
            return 90.0
        told.append(50.0 if not told else 85.0)
        return told[-1]

    monkeypatch.setattr("detrt.quantize.run.measured_ap", ap)
    monkeypatch.setattr("detrt.quantize.run.FINEST_SEARCH", 0)  # parts are groups, as in large models: fewer to measure
    target, recipe = tmp_path / "again.onnx", Recipe("plain")
    once = quantize(bench, target, precision="int8", recipe=recipe, target_drop=8.0)
    again = quantize(bench, target, precision="int8", recipe=recipe, target_drop=8.0, labelled=labelled)
    assert told == [50.0, 85.0]
    assert again.judged.ap == 85.0
    assert again.judged.loss.points < once.judged.loss.points
    assert again.macs_share < once.macs_share

    falling = iter((60.0, 70.0, 65.0))
    monkeypatch.setattr(
        "detrt.quantize.run.measured_ap", lambda model, *_, **__: 90.0 if model == bench.source else next(falling)
    )
    best = quantize(bench, target, precision="int8", recipe=recipe, target_drop=8.0, labelled=labelled)
    assert next(falling, None) is None
    assert best.judged.ap == 70.0
    narrow = placed_by_modelopt(load(target), bench.products)
    assert best.macs_share == sum(product.macs for product in bench.products if product.key in narrow) / bench.macs


def test_what_cannot_end_well_is_refused_before_the_work(bench: Workbench, toy: Path, tmp_path: Path) -> None:
    before = toy.read_bytes()
    with pytest.raises(UsageError, match="is read, and would be lost"):
        quantize(bench, toy, precision="int8", recipe=load_recipe("safe"))
    with pytest.raises(UsageError, match=r"keep\.engine does not end in \.onnx"):
        quantize(bench, tmp_path / "keep.engine", precision="int8", recipe=load_recipe("safe"))
    with pytest.raises(UsageError, match="nothing to search"):
        quantize(bench, tmp_path / "q.onnx", precision="int8", recipe=load_recipe("max"), target_drop=0.5)
    (tmp_path / "file").touch()
    with pytest.raises((FileExistsError, NotADirectoryError)):
        quantize(bench, tmp_path / "file" / "q.onnx", precision="int8", recipe=load_recipe("safe"))
    assert toy.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_ap_is_measured_anew_when_the_boxes_change(toy: Path, labelled: CocoDataset) -> None:
    with OnnxRuntime(toy, device="cpu") as runtime:
        contract = contract_of(runtime, {"class_names": ("1", "2", "3", "4")})
    once = measured_ap(toy, contract, labelled)
    elsewhere = copy.deepcopy(labelled)
    for row in elsewhere.annotations["annotations"]:
        row["bbox"][0] += 40
    assert measured_ap(toy, contract, elsewhere) < once - 10
    assert measured_ap(toy, contract, labelled) == once


@pytest.mark.parametrize("name", ["conv-only", "backbone-encoder", "q_config_1", "q_config_2", "q_config_3"])
def test_recipes_of_our_own_placement_run(bench: Workbench, tmp_path: Path, name: str) -> None:
    report = quantize(bench, tmp_path / "q.onnx", precision="int8", recipe=load_recipe(name))
    assert report.judged.loss.points < 60
    if name == "q_config_1":
        scales = {tensor.name: tensor for tensor in load(tmp_path / "q.onnx").graph.initializer}
        assert any(
            list(scales[node.input[1]].dims) == [10]
            for node in load(tmp_path / "q.onnx").graph.node
            if node.op_type == "QuantizeLinear"
        )


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_modelopt_places_and_our_ranges_mend(bench: Workbench, tmp_path: Path, precision: Precision) -> None:
    pytest.importorskip("modelopt.onnx.quantization")
    own = quantize(bench, tmp_path / "own.onnx", precision=precision, recipe=load_recipe("max"))
    assert own.macs_share > 0
    placed = placed_by_modelopt(load(tmp_path / "own.onnx"), bench.products)
    wanted = {"stage 1", "CCFF"} if precision == "int8" else {"FFN"}  # for FP8 it leaves thin convolutions alone
    assert wanted <= {bench.groups[key] for key in placed}
    recipe = Recipe("mended", placement="modelopt", mend=True, compensate=True)
    mended = quantize(bench, tmp_path / "mended.onnx", precision=precision, recipe=recipe)
    assert mended.macs_share == own.macs_share > 0
    assert GraphIndex(load(tmp_path / "mended.onnx")).nodes


def test_modelopt_quantises_a_model_whose_nodes_have_no_names(
    toy: Path, photos: Path, bench: Workbench, tmp_path: Path
) -> None:
    pytest.importorskip("modelopt.onnx.quantization")
    nameless = load(toy)
    for node in nameless.graph.node:
        node.name = ""
    save_model(nameless, tmp_path / "nameless.onnx")
    recipe = Recipe("mended", placement="modelopt", mend=True)
    of_names = quantize(bench, tmp_path / "named.q.onnx", precision="int8", recipe=recipe)
    bare = open_workbench(tmp_path / "nameless.onnx", [str(photos)])
    assert quantize(bare, tmp_path / "q.onnx", precision="int8", recipe=recipe).macs_share == of_names.macs_share > 0


def test_a_quantised_file_is_refused(bench: Workbench, photos: Path, tmp_path: Path) -> None:
    quantize(bench, tmp_path / "q.onnx", precision="int8", recipe=load_recipe("conv-only"))
    with pytest.raises(GraphError, match="quantised already"):
        open_workbench(tmp_path / "q.onnx", [str(photos)])


def test_sensitivity_measures_each_part_and_draws_it(
    toy: Path, photos: Path, labelled: CocoDataset, tmp_path: Path
) -> None:
    bench = open_workbench(toy, [str(photos)], overrides={"class_names": ("1", "2", "3", "4")})
    parts = sensitivity_of(bench, load_recipe("safe").settings("int8"), photos=6, labelled=labelled)
    assert [found.part.name for found in parts][:2] == ["stem", "stage 1"]
    assert all(found.ap_drop is not None for found in parts)
    assert all(found.loss.change >= 0 for found in parts)
    save(parts, tmp_path / "parts.json")
    assert len(json.loads((tmp_path / "parts.json").read_text())) == len(parts)
    draw(parts, bench.macs, tmp_path / "parts.svg", title="toy")
    assert "<svg" in (tmp_path / "parts.svg").read_text()
