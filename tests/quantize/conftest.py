"""A small detector, its photos, and a workbench with both; each made once."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest

from detrt.quantize.workbench import Workbench, open_workbench
from tests.quantize.toy import drawn_photos, toy_detector


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing that an earlier run has cached may make a test pass."""
    os.environ["DETRT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy detector's file."""
    path = tmp_path_factory.mktemp("toy") / "toy.onnx"
    onnx.save(toy_detector(), path)
    return path


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve drawn photos."""
    return drawn_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session")
def bench(toy: Path, photos: Path) -> Workbench:
    """Both, ready."""
    return open_workbench(toy, [str(photos)])
