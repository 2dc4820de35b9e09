"""Engines that are really built, without a GPU, and what is said of those that cannot be."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from detrt.contract import ModelContract, contract_from_metadata
from detrt.engine import builder
from detrt.engine.builder import build_engine
from detrt.engine.capabilities import refuse_unsupported_model
from detrt.engine.flavour import find
from detrt.engine.interrupt import interrupt_held
from detrt.engine.log import logger
from detrt.engine.manifest import cache_path, manifest_of, manifest_path
from detrt.engine.options import Batch, BuildOptions
from detrt.errors import EngineError, MissingExtraError, ModelError, UsageError
from detrt.graph.onnx_file import load, save
from detrt.graph.precision import Precision
from detrt.runtime import cuda
from tests.engine.conftest import CONTRACT, tiny_model
from tests.runtime.standin import StandInGpu
from tests.tiny import deploy_model

FP32 = BuildOptions(precision="fp32")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_femto_builds_and_its_manifest_says_what_it_is(precision: Precision, femto: Path, tmp_path: Path) -> None:
    result = build_engine(femto, tmp_path / "femto.engine", BuildOptions(precision=precision))
    manifest = manifest_of(result.engine)
    data = result.engine.read_bytes()
    assert manifest == result.manifest
    assert manifest.engine_sha256 == hashlib.sha256(data).hexdigest()
    assert manifest.onnx_sha256 == hashlib.sha256(femto.read_bytes()).hexdigest()
    assert manifest.flavour == "tensorrt_rtx"
    assert manifest.precision == precision
    assert [str(spec) for spec in manifest.inputs] == [
        "images float32 (1, 3, 416, 416)",
        "orig_target_sizes int64 (1, 2)",
    ]
    assert {spec.name: spec.shape for spec in manifest.outputs} == {
        "labels": (1, 300),
        "boxes": (1, 300, 4),
        "scores": (1, 300),
    }
    assert manifest.layers["network"] > 1000


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, None], ids=["batch 1", "dynamic batch"])
def test_r18vd_from_our_own_export_builds(batch: int | None, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from detrt.graph.export import ExportOptions, onnx_from_model
    from detrt.models.rtdetrv2 import RTDETRv2
    from detrt.models.variants import variant_named

    contract = ModelContract(input_size=(640, 640), family="rtdetrv2", variant="r18vd")
    model = RTDETRv2(variant_named("r18vd")).eval()
    path = tmp_path / "r18vd.onnx"
    save(onnx_from_model(model, contract, ExportOptions(batch=batch)), path)
    options = BuildOptions(precision="fp16", batch=Batch(1, 1, 1) if batch else Batch(1, 8, 32))
    manifest = build_engine(path, tmp_path / "r18vd.engine", options).manifest
    assert manifest.engine_bytes > 2 * 20e6  # 20 million parameters at two bytes
    assert manifest.inputs[0].shape == (batch, 3, 640, 640)
    assert manifest.contract == contract


def test_a_model_of_a_fixed_batch_is_told_to_take_that(tmp_path: Path) -> None:
    save(deploy_model(batch=4), tmp_path / "four.onnx")
    manifest = build_engine(tmp_path / "four.onnx", tmp_path / "four.engine", FP32).manifest
    assert manifest.batch == (4, 4, 4)


def test_an_engine_that_is_up_to_date_may_lie_where_nobody_can_write(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    target = build_engine(tiny, tmp_path / "tiny.engine", FP32).engine
    monkeypatch.setattr(builder, "refuse_unwritable", refuse)
    assert build_engine(tiny, target, FP32).was_up_to_date
    with pytest.raises(PermissionError):
        build_engine(tiny, target, FP32, force=True)


def test_the_second_build_finds_the_engine_up_to_date(tiny: Path, tmp_path: Path) -> None:
    target = tmp_path / "tiny.engine"
    assert not build_engine(tiny, target, FP32).was_up_to_date
    built = target.stat().st_mtime_ns
    assert build_engine(tiny, target, FP32).was_up_to_date
    assert target.stat().st_mtime_ns == built
    assert not build_engine(tiny, target, FP32, force=True).was_up_to_date


@pytest.mark.parametrize(
    "spoil",
    [
        lambda engine: engine.write_bytes(engine.read_bytes()[:-1]),
        lambda engine: engine.unlink(),
        lambda engine: manifest_path(engine).unlink(),
        lambda engine: manifest_path(engine).write_text("{"),
    ],
    ids=["cut off", "engine gone", "manifest gone", "manifest damaged"],
)
def test_a_spoilt_engine_is_built_again(spoil: Callable[[Path], object], tiny: Path, tmp_path: Path) -> None:
    target = build_engine(tiny, tmp_path / "tiny.engine", FP32).engine
    spoil(target)
    assert not build_engine(tiny, target, FP32).was_up_to_date
    assert build_engine(tiny, target, FP32).was_up_to_date


def test_other_options_or_another_model_are_built_again(tiny: Path, tmp_path: Path) -> None:
    target = build_engine(tiny, tmp_path / "tiny.engine", FP32).engine
    for options in (replace(FP32, precision="fp16"), replace(FP32, batch=Batch(1, 2, 4)), replace(FP32, level=1)):
        assert not build_engine(tiny, target, options).was_up_to_date
    other = tmp_path / "tiny.onnx"
    save(tiny_model("Sigmoid"), other)
    assert not build_engine(other, target, replace(FP32, level=1)).was_up_to_date


def test_the_contract_travels_into_the_manifest(tiny_engine: Path) -> None:
    assert manifest_of(tiny_engine).contract == CONTRACT
    assert contract_from_metadata(manifest_of(tiny_engine).metadata) == CONTRACT


def test_a_manifest_is_read_as_it_was_written_whatever_the_locale(
    tiny_engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_in_latin_1(file: Any, mode: str = "r", buffer: int = -1, encoding: str | None = None, *told: Any) -> Any:
        return opened(file, mode, buffer, "latin-1" if encoding == "locale" else encoding, *told)

    opened = io.open
    manifest = replace(manifest_of(tiny_engine), onnx="modèle.onnx")
    monkeypatch.setattr(io, "open", open_in_latin_1)
    manifest.save(tmp_path / "tiny.engine")
    assert manifest_of(tmp_path / "tiny.engine") == manifest


def test_a_dynamic_batch_stays_dynamic_and_a_single_one_becomes_fixed(tiny: Path, tmp_path: Path) -> None:
    fixed = build_engine(tiny, tmp_path / "fixed.engine", replace(FP32, batch=Batch(2, 2, 2))).manifest
    assert fixed.inputs[0].shape == (2, 3, 8, 8)
    assert {spec.shape for spec in fixed.outputs} == {(2, 5, 2), (2, 5, 4)}
    dynamic = build_engine(tiny, tmp_path / "dynamic.engine", replace(FP32, batch=Batch(1, 2, 4))).manifest
    assert dynamic.inputs[0].shape == (None, 3, 8, 8)
    assert {spec.shape for spec in dynamic.outputs} == {(None, 5, 2), (None, 5, 4)}
    assert dynamic.profile["images"] == ((1, 3, 8, 8), (2, 3, 8, 8), (4, 3, 8, 8))


def test_it_builds_for_gpus_that_are_not_here(tiny: Path, tmp_path: Path) -> None:
    manifest = build_engine(tiny, tmp_path / "ada.engine", replace(FP32, targets=("8.9", "12.0"))).manifest
    assert manifest.compute_capabilities == ("8.9", "12.0")
    assert manifest.capability == "8.9 or later"
    with pytest.raises(EngineError, match="SM35"):
        build_engine(tiny, tmp_path / "kepler.engine", replace(FP32, targets=("3.5",)))


def test_a_new_build_drops_the_old_ones_compiled_kernels(tiny: Path, tmp_path: Path) -> None:
    target = build_engine(tiny, tmp_path / "tiny.engine", FP32).engine
    cache_path(target).write_bytes(b"kernels of the old engine")
    build_engine(tiny, target, FP32)
    assert cache_path(target).exists()
    build_engine(tiny, target, FP32, force=True)
    assert not cache_path(target).exists()


def test_an_operator_that_tensorrt_lacks_is_named_with_its_node(tmp_path: Path) -> None:
    path = tmp_path / "odd.onnx"
    save(tiny_model("NoSuchOperator"), path)
    with pytest.raises(EngineError, match=r"'activation' \(NoSuchOperator\)"):
        build_engine(path, tmp_path / "odd.engine", FP32)
    assert [file.name for file in tmp_path.iterdir()] == ["odd.onnx"]


@pytest.mark.parametrize(
    "options",
    [
        replace(FP32, hardware="ampere+"),
        replace(FP32, version_compatible=True),
        replace(FP32, timing_cache=Path("timing.cache")),
        replace(FP32, plugins=(Path("plugin.so"),)),
    ],
    ids=lambda options: next(iter(options.to_arguments()[2:]), "--timing-cache"),
)
def test_what_tensorrt_rtx_does_not_do_is_refused_by_name(options: BuildOptions, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises((UsageError, EngineError), match=r"TensorRT-RTX .* does not support --"):
        build_engine(tiny, tmp_path / "tiny.engine", options)


def test_an_open_input_size_must_be_said(tmp_path: Path) -> None:
    model = tiny_model()
    for axis in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        axis.Clear()
    path = tmp_path / "open.onnx"
    save(model, path)
    with pytest.raises(UsageError, match="axis 2, 3 open"):
        build_engine(path, tmp_path / "open.engine", FP32)
    manifest = build_engine(path, tmp_path / "open.engine", replace(FP32, size=(8, 8))).manifest
    assert manifest.inputs[0].shape == (1, 3, 8, 8)


@pytest.mark.parametrize("size", [(16, 8), (8, 16)])
def test_a_size_that_the_model_cannot_take_is_refused_even_where_an_engine_is_there(
    size: tuple[int, int], tiny: Path, tmp_path: Path
) -> None:
    target = build_engine(tiny, tmp_path / "tiny.engine", replace(FP32, size=(8, 8))).engine
    before = target.read_bytes()
    with pytest.raises(UsageError, match=rf"fixes its input images .*--size {size[0]}x{size[1]} cannot change"):
        build_engine(tiny, target, replace(FP32, size=size))
    assert target.read_bytes() == before


def test_progress_is_told_and_ctrl_c_stops_the_build(tiny: Path, tmp_path: Path) -> None:
    stages: list[str] = []
    build_engine(tiny, tmp_path / "one.engine", FP32, progress=lambda stage, done, total: stages.append(stage))
    assert "Building engine" in stages

    def interrupt(stage: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_engine(tiny, tmp_path / "two.engine", FP32, progress=interrupt)
    assert not list(tmp_path.glob("*two*"))


@pytest.fixture
def pythons_own_ctrl_c() -> Iterator[None]:
    """As in a terminal: a shell's background jobs are started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("pythons_own_ctrl_c")
@pytest.mark.parametrize("amid", ["parsing", "building"])
def test_ctrl_c_amid_what_tensorrt_says_stops_the_build_without_a_word(
    amid: str, tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    told: list[str] = []
    caplog.set_level(logging.DEBUG, logger.name)

    def press(record: logging.LogRecord) -> bool:
        if not told and (amid == "parsing" or begun.is_set()):
            told.append(record.getMessage())
            signal.raise_signal(signal.SIGINT)  # in the callback of TensorRT's, as Python does with Ctrl-C
        return True

    monkeypatch.setattr(logger, "filters", [press])
    with pytest.raises(KeyboardInterrupt):
        build_engine(tiny, tmp_path / "x.engine", FP32, progress=lambda *_: begun.set())
    assert told
    assert not list(tmp_path.iterdir())
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_stays_with_a_program_that_handles_it_itself() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        with interrupt_held() as interrupt:
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]
    assert not interrupt.asked


def test_files_that_are_no_models_or_engines_are_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model"):
        build_engine(tmp_path / "none.onnx", tmp_path / "x.engine")
    (tmp_path / "cut.onnx").write_bytes(tiny.read_bytes()[:500])
    with pytest.raises(ModelError):
        build_engine(tmp_path / "cut.onnx", tmp_path / "x.engine")
    with pytest.raises(UsageError, match=r"x\.plan"):
        build_engine(tiny, tmp_path / "x.plan")


def test_without_any_tensorrt_the_extras_are_named(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr("detrt.engine.flavour.load", absent)
    with pytest.raises(MissingExtraError, match="neither TensorRT nor TensorRT-RTX") as caught:
        build_engine(tiny, tmp_path / "x.engine")
    assert "detrt[rtx]" in caught.value.remedy
    assert "detrt[trt]" in caught.value.remedy


def test_calibration_photos_take_part_in_what_is_up_to_date(tiny: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, color in (("one.png", "red"), ("two.png", "green")):
        Image.new("RGB", (20, 10), color).save(photos / name)
    options = BuildOptions(precision="fp16", calibration=photos)
    target = tmp_path / "tiny.engine"
    assert "calibration photos" in build_engine(tiny, target, options).manifest.precision_note
    assert build_engine(tiny, target, options).was_up_to_date
    (photos / "two.png").unlink()
    assert not build_engine(tiny, target, options).was_up_to_date


@pytest.mark.parametrize("batch", [Batch(3, 3, 3), Batch(1, 2, 4)])
def test_calibration_feeds_as_many_photos_as_the_batch_fixes(batch: Batch, tiny: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        Image.new("RGB", (20, 10), (50 * number, 0, 0)).save(photos / f"{number}.png")
    options = BuildOptions(precision="fp16", calibration=photos, batch=batch)
    assert "calibration photos" in build_engine(tiny, tmp_path / "tiny.engine", options).manifest.precision_note


def test_graph_is_rewritten_unless_it_shall_stay_or_be_looked_into(tmp_path: Path) -> None:
    source, target = tmp_path / "scores.onnx", tmp_path / "scores.engine"
    save(long_top_k(), source)
    rewritten = build_engine(source, target, FP32).manifest
    assert rewritten.rewrites == ("long top-k in chunks",)
    assert manifest_of(target) == rewritten
    stays = replace(FP32, as_exported=True)
    as_exported = build_engine(source, target, stays)
    assert not as_exported.was_up_to_date
    assert not as_exported.manifest.rewrites
    assert "--as-exported" in as_exported.manifest.arguments
    assert as_exported.manifest.layers["network"] < rewritten.layers["network"]
    assert not build_engine(source, target, replace(FP32, debug_tensors=("squares",))).manifest.rewrites


def test_manifests_from_before_the_rewrites_are_read(tiny: Path, tmp_path: Path) -> None:
    result = build_engine(tiny, tmp_path / "tiny.engine", FP32)
    papers = json.loads(manifest_path(result.engine).read_text())
    del papers["rewrites"]
    manifest_path(result.engine).write_text(json.dumps(papers))
    assert manifest_of(result.engine) == result.manifest


def long_top_k() -> onnx.ModelProto:
    """images (1, 3, 64, 64) -> the 10 largest squares, and where they are."""
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["images", "images"], ["squares"], name="/Mul"),
            helper.make_node("Reshape", ["squares", "row"], ["flat"], name="/Reshape"),
            helper.make_node("TopK", ["flat", "k"], ["best", "places"], name="/TopK"),
        ],
        "squares",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 3, 64, 64])],
        [
            helper.make_tensor_value_info("best", onnx.TensorProto.FLOAT, [1, 10]),
            helper.make_tensor_value_info("places", onnx.TensorProto.INT64, [1, 10]),
        ],
        [
            helper.make_tensor("row", onnx.TensorProto.INT64, [2], [1, -1]),
            helper.make_tensor("k", onnx.TensorProto.INT64, [1], [10]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


@pytest.fixture
def as_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps that we take with TensorRT proper, taken with the module of TensorRT-RTX, as if on a GPU."""
    flavour = replace(find("tensorrt_rtx"), name="tensorrt")
    monkeypatch.setattr(builder, "find", lambda name: flavour)
    monkeypatch.setattr(cuda, "first_gpu", lambda: StandInGpu(capability="8.9"))


@pytest.mark.usefixtures("as_tensorrt")
@pytest.mark.filterwarnings("ignore:.*no-ops in TensorRT-RTX.*:DeprecationWarning")
def test_tensorrt_proper_builds_for_the_gpu_that_is_here_and_keeps_a_timing_cache(tiny: Path, tmp_path: Path) -> None:
    cache = tmp_path / "timing.cache"
    options = replace(FP32, timing_cache=cache, hardware="ampere+", workspace=1 << 28, level=2)
    manifest = build_engine(tiny, tmp_path / "tiny.engine", options).manifest
    assert manifest.compute_capabilities == ("8.9",)
    assert manifest.gpu == "Stand-in GPU"
    assert manifest.capability == "8.0 or later"
    assert cache.read_bytes()
    assert not build_engine(tiny, tmp_path / "other.engine", options).was_up_to_date  # with a cache to read


@pytest.mark.usefixtures("as_tensorrt")
def test_tensorrt_proper_needs_a_gpu_and_takes_no_targets(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="--target"):
        build_engine(tiny, tmp_path / "tiny.engine", replace(FP32, targets=("8.9",)))
    with pytest.raises(EngineError, match=r"no plugin library at no\.so"):
        build_engine(tiny, tmp_path / "tiny.engine", replace(FP32, plugins=(Path("no.so"),)))
    (tmp_path / "no.so").write_bytes(b"no library")
    with pytest.raises(EngineError, match=r"cannot load the plugin library .*no\.so"):
        build_engine(tiny, tmp_path / "tiny.engine", replace(FP32, plugins=(tmp_path / "no.so",)))
    monkeypatch.setattr(cuda, "first_gpu", lambda: None)
    with pytest.raises(EngineError, match="needs the GPU that the engine is for"):
        build_engine(tiny, tmp_path / "tiny.engine", FP32)


def test_the_precision_is_in_the_graph_that_is_built(femto: Path) -> None:
    ready, note = builder._at_precision(load(femto), BuildOptions(precision="fp16"), lambda *told: None)
    assert any(tensor.data_type == 10 for tensor in ready.graph.initializer)  # TensorProto.FLOAT16
    assert note.startswith("FP16")


def test_int8_convolutions_are_refused_where_tensorrt_rtx_has_none() -> None:
    scales = [
        numpy_helper.from_array(np.array(0.1, np.float32), "s"),
        numpy_helper.from_array(np.array(0, np.int8), "z"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["kernel", "s", "z"], ["w"]),
        helper.make_node("Conv", ["xq", "w"], ["y"]),
    ]
    kernel = numpy_helper.from_array(np.ones((1, 1, 1, 1), np.int8), "kernel")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 4, 4]) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph(nodes, "quantised", ends[:1], ends[1:], [*scales, kernel]))
    for version, has in (("1.6.1.120", False), ("1.7.1.116", True)):
        flavour = replace(find("tensorrt_rtx"), version=version)
        with (
            nullcontext() if has else pytest.raises(EngineError, match="has no INT8 convolutions, and the model has 1")
        ):
            refuse_unsupported_model(model, flavour)
