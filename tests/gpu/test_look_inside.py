"""Live engines looked into: layers, times, debug tensors, marks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detrt.compare.detectors import compare_detectors
from detrt.compare.engine_tensors import engine_tensors
from detrt.compare.files import compare_layers_of
from detrt.detector import Detector
from detrt.engine.builder import build_engine
from detrt.engine.flavour import find
from detrt.engine.options import BuildOptions
from detrt.errors import EngineError
from detrt.graph.onnx_file import load
from detrt.images.sources import find_files
from detrt.profile.live import profile_engine
from detrt.profile.load import profile_from_files
from tests.compare.planted import OFFSETS

DEBUG = tuple(OFFSETS.format(layer) for layer in range(3))


def test_a_live_profile(engine: Path, tmp_path: Path) -> None:
    found = profile_engine(engine, runs=20, save=tmp_path)
    assert found.latency is not None
    assert 0.05 < found.latency.median < 50
    assert len(found.layers) > 50
    assert found.total / 1e3 > found.latency.median  # layers one at a time take longer than the whole
    timed = sum(time > 0 for time in found.mean)
    assert timed > len(found.layers) / 2
    named = sum(share.time for share in found.by_group if share.name != "other")
    assert named > 0.8 * found.total
    again = profile_from_files(tmp_path)
    assert again.mean == pytest.approx(found.mean)


@pytest.fixture(scope="module")
def shown(femto: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Femto in FP32 that shows the sampling offsets of its decoder layers."""
    target = tmp_path_factory.mktemp("debug") / "debug.engine"
    return build_engine(femto, target, BuildOptions(precision="fp32", debug_tensors=DEBUG)).engine


def test_debug_tensors_are_those_of_onnx_runtime(femto: Path, shown: Path, shared: Path) -> None:
    photos = find_files([str(shared / "coco" / "val")])[:2]
    with Detector.open(femto, device="cpu") as reference, Detector.open(shown) as detector:
        if find().is_rtx:  # 1.6 takes them, and is silent
            with pytest.raises(EngineError, match="told of none"):
                compare_layers_of((femto, reference), (shown, detector), photos)
            return
        walked = compare_layers_of((femto, reference), (shown, detector), photos)
    sizes = {tensor.name: tensor.drift.size for tensor in walked.tensors}
    assert set(DEBUG) <= set(sizes)
    assert all(sizes[name] < 0.05 for name in DEBUG)


def test_unfused_tensors_are_found_by_what_layers_were_made_from(femto: Path, shared: Path, tmp_path: Path) -> None:
    shown = build_engine(
        femto, tmp_path / "unfused.engine", BuildOptions(precision="fp32", debug_tensors="unfused")
    ).engine
    photos = find_files([str(shared / "coco" / "val")])[:1]
    with Detector.open(femto, device="cpu") as reference, Detector.open(shown) as detector:
        walked = compare_layers_of((femto, reference), (shown, detector), photos)
    sizes = sorted(tensor.drift.size for tensor in walked.tensors)
    print(f"{len(sizes)} unfused tensors have a name in the ONNX; median drift {sizes[len(sizes) // 2]:.2%}")
    assert len(sizes) > 10
    assert sizes[len(sizes) // 2] < 0.05


def test_listening_changes_nothing(femto: Path, tmp_path: Path) -> None:
    options = BuildOptions(precision="fp32", debug_tensors="unfused")
    engine = build_engine(femto, tmp_path / "unfused.engine", options).engine
    model = load(femto)
    names = [name for node in model.graph.node for name in node.output]
    generator = np.random.default_rng(0)
    feeds = {
        "images": generator.random((1, 3, 416, 416)).astype(np.float32),
        "orig_target_sizes": np.array([[640, 480]]),
    }
    with Detector.open(engine) as detector:
        plain = detector.runtime.run(feeds)
    with engine_tensors(engine, names, model=model) as source:
        heard = source.read(feeds, [*names, "scores"])
    assert len(heard) > 10
    np.testing.assert_allclose(heard["scores"], plain["scores"], atol=1e-5)


def test_an_engine_finds_what_its_model_finds(engine: Path, femto: Path, shared: Path) -> None:
    photos = find_files([str(shared / "coco" / "val")])[:16]
    with Detector.open(femto, device="cpu") as reference, Detector.open(engine) as detector:
        assert compare_detectors(reference, detector, photos).verdict == "same"
