"""The command line run as a person runs it, in this process."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from detrt.cli import main
from tests.evaluate.conftest import coco as coco


class Finished(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Finished]


@pytest.fixture(autouse=True)
def logger_as_it_was() -> Iterator[None]:
    """A command may set how much is logged, for a process of its own; here, other tests follow."""
    logger = logging.getLogger("detrt")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


@pytest.fixture
def detrt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`detrt("predict", "model.onnx", ...)` as from a shell."""

    def run(*arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["detrt", *map(str, arguments)])
        code: object = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        assert isinstance(code, int)
        return Finished(code, *capsys.readouterr())

    return run
