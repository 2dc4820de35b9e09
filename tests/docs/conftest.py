"""A folder with stand-ins for the files of the documentation."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.docs.stage import staged


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-ins, made once."""
    return staged(tmp_path_factory.mktemp("docs") / "stage")


@pytest.fixture
def here(stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them as the working folder; what is cached is kept beside the originals, for the next command."""
    folder = shutil.copytree(stage, tmp_path / "here")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DETRT_CACHE", str(stage.parent / "cache"))
    return folder
