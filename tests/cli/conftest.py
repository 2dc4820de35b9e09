"""The command line run as a person runs it, in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
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
