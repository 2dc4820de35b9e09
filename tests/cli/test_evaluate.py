"""`detrt eval` as people use it."""

from __future__ import annotations

import json
from errno import ENOSPC
from pathlib import Path

import pytest

from detrt.cli import exit_codes
from detrt.graph.onnx_file import save
from tests import tiny
from tests.cli.conftest import Command
from tests.evaluate.conftest import CocoFolder


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DETRT_CACHE", str(tmp_path / "cache"))
    save(tiny.deploy_model(), tmp_path / "model.onnx")
    (tmp_path / "names.txt").write_text("cat\ndog\nmug\n")
    return tmp_path / "model.onnx"


def test_twelve_figures_and_each_class(detrt: Command, model: Path, coco: CocoFolder, tmp_path: Path) -> None:
    done = detrt(
        "eval", model, "--annotations", coco.annotations, "--images", coco.images, "--per-class",
        "--contract", f"names={tmp_path / 'names.txt'}", "--json", tmp_path / "ap.json",
    )  # fmt: skip
    assert done.code == exit_codes.OK
    for name in ("AP", "AP50", "ARl", "cat", "dog"):
        assert f"\n{name} " in f"\n{done.out}"
    written = json.loads((tmp_path / "ap.json").read_text())
    assert len(written["scores"]) == 12
    assert set(written["by_class"]) == {"cat", "dog"}
    assert written["photos"] == 12
    assert not list((tmp_path / "cache" / "eval").iterdir())


def test_the_figures_of_a_result_file(detrt: Command, model: Path, coco: CocoFolder, tmp_path: Path) -> None:
    row = next(row for row in json.loads(coco.annotations.read_text())["annotations"] if not row["iscrowd"])
    (tmp_path / "found.json").write_text(json.dumps([row | {"score": 0.9}]))
    done = detrt(
        "eval", "--results", tmp_path / "found.json", "--annotations", coco.annotations, "--images", coco.images,
        "--json", tmp_path / "ap.json",
    )  # fmt: skip
    assert done.code == exit_codes.OK
    written = json.loads((tmp_path / "ap.json").read_text())
    assert written["scores"]["AP"] > 0
    assert done.out.split()[:2] == ["AP", f"{written['scores']['AP']:.2f}"]
    assert written["photos"] == 12


def test_an_error_keeps_what_was_computed_and_says_how_to_go_on(
    detrt: Command,
    model: Path,
    coco: CocoFolder,
    tmp_path: Path,
) -> None:
    whole = (coco.images / "010.png").read_bytes()
    (coco.images / "010.png").write_bytes(whole[:20])
    arguments = [
        "--annotations",
        coco.annotations,
        "--images",
        coco.images,
        "--contract",
        f"names={tmp_path / 'names.txt'}",
    ]
    done = detrt("eval", model, *arguments)
    assert done.code == exit_codes.IMAGE
    assert "--resume" in done.err
    (coco.images / "010.png").write_bytes(whole)
    again = detrt("eval", model, *arguments, "--resume")
    assert again.code == exit_codes.OK
    assert "12 photos (9 resumed)" in again.err


def test_a_place_for_the_figures_is_sought_before_the_work_and_they_are_told_whatever_becomes_of_it(
    detrt: Command, model: Path, coco: CocoFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [
        "eval", model, "--annotations", coco.annotations, "--images", coco.images,
        "--contract", f"names={tmp_path / 'names.txt'}", "--json",
    ]  # fmt: skip
    nowhere = detrt(*command, tmp_path)
    assert nowhere.code == exit_codes.USAGE
    assert "Is a directory" in nowhere.err
    assert not (tmp_path / "cache").exists()

    def full(*_: object, **__: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr("detrt.evaluate.report.write_json", full)
    late = detrt(*command, tmp_path / "ap.json")
    assert late.code == exit_codes.USAGE
    assert late.out.startswith("AP ")


def test_a_set_of_other_classes_is_an_error(detrt: Command, model: Path, coco: CocoFolder) -> None:
    done = detrt("eval", model, "--annotations", coco.annotations, "--images", coco.images)
    assert done.code == exit_codes.DATASET
    assert "names=FILE" in done.err
    assert "--resume" not in done.err


def test_a_cache_that_cannot_be_made_keeps_nothing(
    detrt: Command, model: Path, coco: CocoFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETRT_CACHE", str(model / "cache"))
    done = detrt(
        "eval", model, "--annotations", coco.annotations, "--images", coco.images,
        "--contract", f"names={tmp_path / 'names.txt'}",
    )  # fmt: skip
    assert done.code == exit_codes.USAGE
    assert "DETRT_CACHE" in done.err
    assert "--resume" not in done.err
