"""`detrt workflow`: its words, its exit codes, and the file of options."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from detrt.cli.app import app
from detrt.errors import DatasetError, DetrtError, ImageError, UsageError
from detrt.workflow.journal import WorkflowJournal
from detrt.workflow.options import FILE
from tests.workflow.conftest import Material

SHORT = ("--skip", "quantize,build,time,explain", "--precisions", "fp32")


def test_the_verdict_ends_the_output_and_the_options_are_kept(material: Material, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = [*material.arguments(out), *SHORT]
    done = CliRunner().invoke(app, told)
    assert done.exit_code == 0, done.output
    assert "Ship model.onnx" in done.stdout
    assert "not here" in done.stderr
    assert yaml.safe_load((out / FILE).read_text())["skip"] == ["quantize", "build", "time", "explain"]

    again = CliRunner().invoke(app, ["workflow", "-o", str(out)])
    assert again.exit_code == 0, again.output
    assert "done" not in again.stderr, "everything is kept"
    other = CliRunner().invoke(app, ["workflow", "-o", str(out), "--limit", "3", "--dry-run"])
    assert [line.split()[1:] for line in other.stdout.splitlines() if line.startswith("due")] == [
        ["score", "fp32", "ONNX"]
    ]


def test_a_dry_run_writes_nothing(material: Material, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [*material.arguments(tmp_path / "out"), "--dry-run"])
    assert done.exit_code == 0, done.output
    assert done.stdout.count("\n") > 10
    assert not (tmp_path / "out").exists()


def test_a_config_is_overridden_by_the_command_line(material: Material, tmp_path: Path) -> None:
    told = {"model": str(material.model), "calib": str(material.calib), "annotations": str(material.annotations)}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(told | {"images": "nowhere", "precisions": ["fp8"]}))
    words = ["workflow", "--config", tmp_path / "mine.yaml", "--images", material.images, "-o", tmp_path / "out"]
    done = CliRunner().invoke(app, [*map(str, words), "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "quantize fp8" in done.stdout
    assert "int8" not in done.stdout


def test_a_failed_step_is_in_the_exit_code(material: Material, tmp_path: Path) -> None:
    out = tmp_path / "out"
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "a.jpg").write_bytes(b"\xff\xd8\xff no more")
    done = CliRunner().invoke(app, [*material.arguments(out), "--calib", str(bad), *SHORT])
    assert done.exit_code == 0, "one photo that cannot be read is passed over"
    words = [*material.arguments(out), *SHORT]
    words[words.index("--calib") + 1] = str(bad)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 3, done.output
    assert "failed" in done.stderr
    assert (out / "report.html").is_file()


@pytest.mark.parametrize(
    ("option", "error", "says"),
    [
        ("--calib", ImageError, "nothing at nowhere"),
        ("--annotations", DatasetError, "nowhere"),
        ("--images", DatasetError, "nowhere"),
        ("--recipe", UsageError, "no recipe 'nowhere'"),
    ],
)
def test_what_is_not_there_is_told_before_the_work(
    material: Material, tmp_path: Path, option: str, error: type[DetrtError], says: str
) -> None:
    words = material.arguments(tmp_path / "out")
    if option in words:
        words[words.index(option) + 1] = "nowhere"
    else:
        words += [option, "nowhere"]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, error)
    assert says in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_without_a_model_or_a_folder_of_before_it_says_what_is_missing(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["workflow", "-o", str(tmp_path / "out")])
    assert isinstance(done.exception, UsageError)
    assert "workflow.yaml is not there" in done.exception.problem
    done = CliRunner().invoke(app, ["workflow", "model.onnx", "--images", "val", "-o", str(tmp_path / "out")])
    assert isinstance(done.exception, UsageError)
    assert "--calib and --annotations" in done.exception.problem


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_is_no_output_folder(material: Material, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    done = CliRunner().invoke(app, material.arguments(tmp_path / place))
    assert isinstance(done.exception, UsageError)
    assert str(tmp_path / place) in done.exception.problem
    assert (tmp_path / "file").read_text() == "mine"


def test_a_second_workflow_leaves_the_options_of_the_one_at_work(material: Material, tmp_path: Path) -> None:
    material.options().save(tmp_path / FILE)
    kept = (tmp_path / FILE).read_bytes()
    with WorkflowJournal(tmp_path).writing():
        done = CliRunner().invoke(app, [*material.arguments(tmp_path), "--limit", "3"])
    assert isinstance(done.exception, UsageError)
    assert "Another workflow" in done.exception.problem
    assert (tmp_path / FILE).read_bytes() == kept
