"""`detrt compare` and `detrt repair` as people use them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from detrt.cli import exit_codes
from detrt.compare.detections import Comparing
from detrt.compare.report import write_json
from detrt.detections import Detections
from detrt.graph.onnx_file import load, save
from tests import tiny
from tests.cli.conftest import Command
from tests.compare import planted
from tests.evaluate.conftest import CocoFolder


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A tiny detector, and one that is less sure of what it finds."""
    monkeypatch.setenv("DETRT_CACHE", str(tmp_path / "cache"))
    save(tiny.deploy_model(), tmp_path / "a.onnx")
    save(tiny.deploy_model(scores=(0.5, 0.2, 0.4)), tmp_path / "b.onnx")
    return tmp_path / "a.onnx", tmp_path / "b.onnx"


def test_same_and_not_the_same(detrt: Command, models: tuple[Path, Path], coco: CocoFolder, tmp_path: Path) -> None:
    first, second = models
    same = detrt("compare", first, first, "--images", coco.images, "--layers")
    assert same.code == exit_codes.OK
    assert same.out.startswith("same: agreement 100.0%, closeness 1.000")
    assert "No tensor drifts." in same.out
    other = detrt("compare", first, second, "--images", coco.images, "--layers", "--json", tmp_path / "d.json")
    assert other.code == exit_codes.OK
    assert other.out.startswith("broken: ")
    assert "First to drift: scores" in other.out
    written = json.loads((tmp_path / "d.json").read_text())
    assert written["verdict"] == "broken"
    assert written["first_drift"]["name"] == "scores"
    assert len(written["detections"]["photos"]) == 12


def test_the_planted_fault_in_a_real_model(detrt: Command, atto: Path, shared: Path, tmp_path: Path) -> None:
    save(planted.without_bias(load(atto), 1), tmp_path / "faulty.onnx")
    done = detrt(
        "compare", atto, tmp_path / "faulty.onnx", "--images", shared / "coco" / "val", "--limit", "3", "--layers",
    )  # fmt: skip
    assert done.code == exit_codes.OK
    assert done.out.startswith("broken")
    assert f"First to drift: {planted.OFFSETS.format(1)}" in done.out
    assert "a constant in each channel: a bias was dropped or added" in done.out


def test_names_that_are_no_utf8(detrt: Command, models: tuple[Path, Path], coco: CocoFolder, tmp_path: Path) -> None:
    photo = (coco.images / "001.png").rename(coco.images / os.fsdecode(b"1\xff.png"))
    arguments = ["repair", models[0], "--images", photo, "--candidate", "onnxruntime"]
    assert detrt(*arguments, "-o", tmp_path / "r.onnx").code == exit_codes.OK
    found = Comparing(0.3)
    found.add("a photo", Detections.of(np.empty((0, 4)), [], []), Detections.of(np.empty((0, 4)), [], []))
    engine = tmp_path / os.fsdecode(b"\xff.engine")
    write_json(tmp_path / "d.json", found.result(), None, models=[engine])
    assert json.loads((tmp_path / "d.json").read_text())["models"] == [f"{tmp_path}/\ufffd.engine"]


def test_errors(detrt: Command, models: tuple[Path, Path], coco: CocoFolder, tmp_path: Path) -> None:
    first, second = models
    assert detrt("compare", first, tmp_path / "no.onnx", "--images", coco.images).code == exit_codes.MODEL
    assert detrt("compare", first, second, "--images", tmp_path / "nowhere").code == exit_codes.IMAGE
    assert detrt("repair", first, "--images", coco.images, "--by", "magic").code == exit_codes.USAGE
    assert detrt("repair", first, "--images", coco.images, "--by", "unquantising").code == exit_codes.USAGE
    unknown = detrt("repair", first, "--images", coco.images, "--candidate", "toaster")
    assert unknown.code == exit_codes.USAGE
    assert "toaster" in unknown.err
    without_goal = detrt("repair", first, "--images", coco.images, "--annotations", coco.annotations)
    assert without_goal.code == exit_codes.USAGE
    assert "--goal" in without_goal.err


def test_repair(detrt: Command, models: tuple[Path, Path], coco: CocoFolder, tmp_path: Path) -> None:
    first, second = models
    arguments = ["repair", first, "--images", coco.images, "--candidate", "onnxruntime", "--limit", "3"]
    fine = detrt(*arguments, "-o", tmp_path / "r.onnx")
    assert fine.code == exit_codes.OK
    assert fine.out.startswith("Nothing to repair: 1.000")
    assert len(onnx.load(tmp_path / "r.onnx").graph.output) == 3
    hopeless = detrt(*arguments, "--reference", second, "-o", tmp_path / "no.onnx")
    assert hopeless.code == exit_codes.OK
    assert hopeless.out.startswith("Not repaired: ")
    assert not (tmp_path / "no.onnx").exists()


def test_a_repair_forgets_what_was_scored_by_another_reference(
    detrt: Command, models: tuple[Path, Path], coco: CocoFolder
) -> None:
    first, second = models
    arguments = ["repair", first, "--images", coco.images, "--candidate", "onnxruntime", "--reference", second]
    assert detrt(*arguments, "--budget", "1").out.startswith("Not repaired: ")
    second.write_bytes(first.read_bytes())
    assert detrt(*arguments, "--budget", "1").out.startswith("Nothing to repair: 1.000")
