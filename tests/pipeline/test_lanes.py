"""Which way photos go: the GPU's where it can be gone, else the host's, and somebody is told why."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from detrt import Detector
from detrt.errors import MissingExtraError, ModelError
from detrt.images.gpu import nvjpeg
from detrt.kernels import compiled
from detrt.pipeline import device
from detrt.pipeline.host import HostLane
from detrt.pipeline.lanes import device_lane_of, lane_of
from detrt.runtime.onnxruntime import OnnxRuntime
from detrt.stages import StageTimes
from tests.runtime.standin import StandInGpu


class WithSession(OnnxRuntime):
    """A runtime that says that it has a device path."""

    def __init__(self, model: Path) -> None:
        super().__init__(model)
        self.gpu = StandInGpu()

    def session(self) -> None:
        raise AssertionError("nobody should come as far")


@pytest.fixture
def on_gpu(detector: Detector, tmp_path: Path) -> Detector:
    return detector.over(WithSession(tmp_path / "deploy.onnx"))


def test_a_runtime_without_a_device_path_takes_host_arrays(detector: Detector) -> None:
    assert isinstance(lane_of(detector, 2, StageTimes()), HostLane)


def test_without_the_extra_the_host_resizes_and_says_so(
    on_gpu: Detector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise MissingExtraError("There is no compiler.", "Install it with: pip install 'detrt[gpu]'")

    monkeypatch.setattr(device, "device_lane", missing)
    with caplog.at_level(logging.WARNING, "detrt.pipeline"):
        lane = lane_of(on_gpu, 2, StageTimes())
    assert isinstance(lane, HostLane)
    assert "detrt[gpu]" in caplog.text
    assert len(on_gpu.detect([np.zeros((9, 9, 3), np.uint8)])) == 1


@pytest.mark.parametrize("there", [True, False])
def test_photos_are_decoded_by_the_chip_where_there_is_one(
    on_gpu: Detector, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    library = SimpleNamespace(nvjpegCreateEx=lambda *_: 0 if there else 7)
    for call in ("nvjpegJpegStateCreate", "nvjpegJpegStreamCreate"):
        setattr(library, call, lambda *_: 0)
    monkeypatch.setattr(nvjpeg, "_library", lambda: library)
    monkeypatch.setattr(device, "device_lane", lambda *_, decoder, **__: decoder)
    decoder: Any = device_lane_of(on_gpu, 2, StageTimes())
    assert isinstance(decoder(), nvjpeg.NvJpeg) if there else decoder is None


def test_an_engine_that_does_not_take_the_batch_is_no_reason_to_go_another_way(
    on_gpu: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise ModelError("It takes 1 to 4.", "Build it for more.")

    monkeypatch.setattr(device, "device_lane", refuses)
    with pytest.raises(ModelError, match="1 to 4"):
        lane_of(on_gpu, 8, StageTimes())


def test_bindings_without_a_compiler_are_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_there(*_: object) -> Any:
        raise RuntimeError("Failure finding libnvrtc.so\nwith a long story")

    monkeypatch.setattr(compiled, "require", lambda *_, **__: SimpleNamespace(nvrtcCreateProgram=not_there))
    with pytest.raises(MissingExtraError, match=r"Failure finding libnvrtc.so\)"):
        compiled.cubin_of("preprocess", "1.0")
