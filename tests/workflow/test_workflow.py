"""The whole of it on a toy: models, measurements and a report that tells what they are."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from detrt.benchmark import run
from detrt.detector import Detector
from detrt.evaluate import coco_dataset, evaluate
from detrt.progress import silent
from detrt.workflow import making, measuring
from detrt.workflow.artefact import PHOTOS
from detrt.workflow.journal import FILE
from detrt.workflow.machine import abilities
from detrt.workflow.options import WorkflowOptions
from detrt.workflow.plan import plan, site_of
from detrt.workflow.workflow import Finished, preview_workflow, run_workflow
from tests.workflow.conftest import Material


def worked(options: WorkflowOptions, folder: Path) -> Finished:
    return run_workflow(options, folder, {})


def report_in(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return content


def states(finished: Finished) -> dict[str, str]:
    return {outcome.step: outcome.state for outcome in finished.outcomes}


@pytest.fixture(scope="module")
def folder(material: Material, own_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a whole workflow; tests that write work on a copy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETRT_CACHE", str(own_cache))
        made = tmp_path_factory.mktemp("out")
        assert not worked(material.options(), made).failed
        return made


def test_the_report_tells_the_ap_that_the_files_have(folder: Path, material: Material, tmp_path: Path) -> None:
    dataset = coco_dataset(material.annotations, material.images)
    models = {model["file"]: model for model in report_in(folder)["models"] if model["form"] == "ONNX"}
    assert set(models) == {"model.onnx", "model.int8.onnx"}
    for file, told in models.items():
        with Detector.open(folder / file) as detector:
            scores = evaluate(detector, dataset, journal=tmp_path / "journal").scores
        assert told["figures"]["AP"] == pytest.approx(scores.ap)
        assert set(told["times"]) == {"engine", "infer", "e2e"}
        assert "ONNX Runtime" in told["runtime"]
        assert told["bytes"] == (folder / file).stat().st_size


def test_what_was_not_done_is_told_and_not_made_up(folder: Path) -> None:
    report = report_in(folder)
    told = {step["name"]: step for step in report["steps"]}
    assert told["build fp32 engine"]["state"] == "left out"
    assert told["score int8 engine"]["state"] == "impossible"
    assert "No engine was judged here" in " ".join(report["verdict"]["cautions"])
    engines = [model for model in report["models"] if model["form"] == "engine"]
    assert all(not model["figures"] and not model["times"] and model["file"] is None for model in engines)
    markdown = (folder / "report.md").read_text()
    assert "build int8 engine" in markdown.partition("## What was not done")[2]


def test_a_second_run_keeps_everything_and_tells_the_same(folder: Path, material: Material, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    before = {name: (copy / name).read_bytes() for name in ("report.html", "report.md", "report.json", FILE)}
    finished = worked(material.options(), copy)
    assert set(states(finished).values()) == {"kept", "left out", "impossible"}
    assert {name: (copy / name).read_bytes() for name in before} == {
        name: content.replace(str(folder).encode(), str(copy).encode()) for name, content in before.items()
    }


def test_another_option_repeats_only_what_depends_on_it(folder: Path, material: Material, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    told = states(worked(replace(material.options(), limit=5), copy))
    again = {step for step, state in told.items() if state == "finished"}
    assert again == {"score fp32 ONNX", "score int8 ONNX", "compare int8 ONNX"}


def test_other_photos_are_timed_and_explained_anew(folder: Path, material: Material, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    images = shutil.copytree(material.images, tmp_path / "images")
    first = sorted(images.iterdir())[0]
    first.write_bytes(first.read_bytes() + b"more")
    told = states(worked(replace(material.options(), images=str(images)), copy))
    assert {step for step in ("time ONNX", "explain int8 ONNX", "quantize int8") if told[step] == "finished"} == {
        "time ONNX",
        "explain int8 ONNX",
    }


def test_a_stopped_timing_is_not_finished(
    folder: Path, material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    whole = run.benchmark
    monkeypatch.setattr(measuring, "benchmark", lambda *words, **more: replace(whole(*words, **more), complete=False))
    longer = replace(material.options(), seconds=0.03)
    with pytest.raises(KeyboardInterrupt):
        worked(longer, copy)
    due = {outcome.step for outcome in preview_workflow(longer, copy, {}) if outcome.state == "due"}
    assert due == {"time ONNX"}
    assert not (copy / "measured/onnx.times.json").exists()


def test_only_engines_that_look_at_photos_wait_for_them(material: Material, tmp_path: Path) -> None:
    options = replace(material.options(), calib=(str(tmp_path),), skip=())
    steps = {step.name: step for step in plan(site_of(options, tmp_path, {}, abilities()))}
    assert PHOTOS not in steps["build fp32 engine"].files
    assert PHOTOS in steps["build int8 engine"].files


def test_fewer_photos_leave_none_of_the_others(folder: Path, material: Material, tmp_path: Path) -> None:
    """Engines are calibrated on all that lie there."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    for photos in (4, 2):
        making.keep_photos(replace(material.options(), photos=photos), copy, (), silent)
        lie = {path.name for path in (copy / PHOTOS).parent.glob("*.jpg")}
        assert lie == set(json.loads((copy / PHOTOS).read_text()))
        assert len(lie) == photos


def test_the_folder_can_be_carried_to_a_machine_without_photos(
    folder: Path, material: Material, tmp_path: Path
) -> None:
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    away = replace(material.options(), model="/nowhere/pebble.onnx", calib=("/nowhere",), images="/nowhere", limit=None)
    told = states(worked(away, copy))
    assert {told[step] for step in ("export", "photos", "quantize int8", "score int8 ONNX")} == {"kept"}
    assert report_in(copy)["models"][1]["figures"] == report_in(folder)["models"][1]["figures"]
