"""What tests of every room share: the photos and models that stand beside the project, where they do."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"

os.environ.pop("COLUMNS", None)  # pytest-xdist hands the width of its terminal on, and tables would be cut to it

if find_spec("hypothesis"):  # a machine that is there for its GPU has none
    from hypothesis import settings

    settings.register_profile("detrt", derandomize=True, deadline=None)  # neither luck nor a busy machine fails a test
    settings.load_profile("detrt")


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark every test that reaches for the shared folder, through whichever fixture."""
    for item in items:
        if isinstance(item, pytest.Function) and "shared" in item.fixturenames:
            item.add_marker("shared")


@pytest.fixture(autouse=True)
def logging_as_found() -> Iterator[None]:
    """Undo the logging that a command set up."""
    for logger in _loggers():
        logger.disabled, logger.propagate = False, True
    top = logging.getLogger("detrt")
    level, handlers = top.level, top.handlers[:]
    yield
    top.setLevel(level)
    top.handlers[:] = handlers


def _loggers() -> list[logging.Logger]:
    known = logging.root.manager.loggerDict
    return [logging.getLogger(name) for name in [*known] if name.partition(".")[0] == "detrt"]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of photos and models beside the repository; the test is skipped where there is none."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not here")
    return SHARED


@pytest.fixture(scope="session")
def femto(shared: Path) -> Path:
    """DEIMv2-femto, 416x416, trained on COCO."""
    return shared / "models" / "deimv2_hgnetv2_femto_coco.onnx"


@pytest.fixture(scope="session")
def atto(shared: Path) -> Path:
    """DEIMv2-atto, 320x320, trained on COCO."""
    return shared / "models" / "deimv2_hgnetv2_atto_coco.onnx"
