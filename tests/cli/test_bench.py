from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detrt.cli.app import app
from detrt.errors import UsageError


def test_table_json_and_picture_of_a_real_model(atto: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app,
        ["bench", str(atto), "--seconds", "0.05", "--json", f"{tmp_path}/b.json", "--plot", f"{tmp_path}/b.png"],
    )
    assert result.exit_code == 0, result.output
    assert "images/s" in result.stdout
    report = json.loads((tmp_path / "b.json").read_text())
    assert report["rows"][0]["subject"]["model"] == atto.name
    assert (tmp_path / "b.png").stat().st_size > 1000


def test_model_that_fails_is_named_and_the_exit_code_tells(atto: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["bench", str(atto), f"{tmp_path}/none.onnx", "--seconds", "0.05"])
    assert result.exit_code == 3
    assert "none.onnx" in result.stderr.replace("\n", "")


@pytest.mark.parametrize(
    "options",
    [
        ["--batch", "0"],
        ["--batch", "1,x"],
        ["--batch", "²"],
        ["--streams", ""],
        ["--graph", "maybe"],
        ["--protocol", "wall"],
    ],
)
def test_options_that_make_no_sense_are_refused(options: list[str]) -> None:
    result = CliRunner().invoke(app, ["bench", "m.onnx", *options])
    assert isinstance(result.exception, UsageError)
