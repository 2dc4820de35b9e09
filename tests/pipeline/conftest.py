"""A detector whose answers can be computed by hand, and a GPU on the host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from detrt import Detector
from detrt.graph.onnx_file import save
from tests import tiny
from tests.pipeline.device_standin import HostJpegDecoder
from tests.pipeline.photos import REFUSED
from tests.runtime.standin import StandInGpu


@pytest.fixture
def detector(tmp_path: Path) -> Iterator[Detector]:
    save(tiny.deploy_model(), tmp_path / "deploy.onnx")
    with Detector.open(tmp_path / "deploy.onnx") as opened:
        yield opened


@pytest.fixture
def gpu() -> StandInGpu:
    return StandInGpu()


@pytest.fixture(params=["decoded here", "decoded on the device"])
def decoder(request: pytest.FixtureRequest, gpu: StandInGpu) -> HostJpegDecoder | None:
    return HostJpegDecoder(gpu, REFUSED) if "device" in request.param else None
