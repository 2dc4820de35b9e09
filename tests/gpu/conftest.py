"""What needs an NVIDIA GPU and a TensorRT: real engines, really run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from detrt.engine.builder import build_engine
from detrt.engine.flavour import find
from detrt.engine.options import Batch, BuildOptions
from detrt.errors import MissingExtraError
from detrt.graph.precision import Precision
from detrt.images.read import Pixels, read_photo
from detrt.runtime import cuda

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("gpu")


@pytest.fixture(scope="session", autouse=True)
def gpu() -> cuda.CudaGpu:
    """The first GPU; everything here is skipped where there is none, or no TensorRT."""
    found = cuda.first_gpu()
    if found is None:
        pytest.skip("there is no NVIDIA GPU here")
    try:
        find()
    except MissingExtraError as error:
        pytest.skip(error.problem)
    return found


@pytest.fixture(scope="session", params=["fp32", "fp16"])
def engine(request: pytest.FixtureRequest, femto: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Femto at batch 1, at each precision."""
    return built(femto, tmp_path_factory, request.param, Batch())


@pytest.fixture(scope="session")
def flexible(femto: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Femto in FP32 for batches of 1 to 8."""
    return built(femto, tmp_path_factory, "fp32", Batch(1, 4, 8))


@pytest.fixture(scope="session")
def photos(shared: Path) -> list[Pixels]:
    """A few photos of COCO."""
    return [read_photo(path) for path in sorted((shared / "coco" / "val").glob("*.jpg"))[:8]]


def built(model: Path, folder: pytest.TempPathFactory, precision: Precision, batch: Batch) -> Path:
    """An engine of the model."""
    target = folder.mktemp("engine") / f"{precision}.engine"
    return build_engine(model, target, BuildOptions(precision=precision, batch=batch)).engine
