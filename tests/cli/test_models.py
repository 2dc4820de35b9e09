"""`detrt models` over a registry of its own and a server on the loopback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from detrt.cli.app import app
from detrt.errors import ModelError
from detrt.models import registry as registry_module
from detrt.models.registry import PublishedModel, Source
from tests.models.test_download import CONTENT, SHA256, Server, server
from tests.models.test_registry import MODEL

__all__ = ["server"]


@pytest.fixture
def known(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, PublishedModel]:
    """Two models: `one` with a published hash, `two` without."""
    models = {
        "one": replace(MODEL, sources=(Source(server.url, "here", SHA256, len(CONTENT)),)),
        "two": replace(MODEL, name="two", file="two.onnx", sha256="0" * 64, sources=(Source(server.url, "here"),)),
    }
    monkeypatch.setattr(registry_module, "registry", lambda: models)
    monkeypatch.setenv("DETRT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DETRT_MODELS", str(tmp_path / "folder"))
    return models


def detrt(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["models", *arguments], env={"COLUMNS": "160"})


@pytest.mark.usefixtures("known")
def test_the_list_says_what_is_where(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "one.onnx").write_bytes(CONTENT)
    lines = detrt().output.splitlines()
    one, two = (next(line for line in lines if line.startswith(name)) for name in ("one", "two"))
    assert one.split() == ["one", "onnx", "640x640", "46.5", "1.0", "MB", "Apache-2.0", "here"]
    assert two.split()[-3:] == ["Apache-2.0", "not", "here"]


@pytest.mark.usefixtures("known")
def test_pull_fetches_once_and_path_finds_it(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "models" / "one.onnx"
    done = detrt("pull", "one")
    assert (done.exit_code, file.read_bytes()) == (0, CONTENT)
    assert "Not verified" not in done.output
    assert "here already" in detrt("pull", "one").output
    assert detrt("path", "one").output.strip() == str(file)
    assert "cached" in detrt().output


@pytest.mark.usefixtures("known")
def test_pull_says_what_it_could_not_verify(tmp_path: Path) -> None:
    done = detrt("pull", "two")
    assert done.exit_code == 0
    assert "Not verified" in done.output
    assert SHA256 in done.output
    assert "tested with other bytes" in done.output
    assert SHA256 in (tmp_path / "cache" / "models" / "two.onnx.sha256").read_text()


@pytest.mark.usefixtures("known")
def test_a_mistyped_name_fetches_nothing(server: Server) -> None:
    done = detrt("pull", "one", "tow")
    assert isinstance(done.exception, ModelError)
    assert "Did you mean two" in done.exception.remedy
    assert not server.ranges
