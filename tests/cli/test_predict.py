"""`detrt predict` as people use it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tools.train_shapes.judge import validation_scene
from tools.train_shapes.outlines import CLASSES

from detrt.cli import exit_codes
from detrt.graph.onnx_file import save
from tests import tiny
from tests.cli.conftest import Command


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save(tiny.deploy_model(), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        Image.fromarray(np.full((40, 60, 3), 40 * index, np.uint8)).save(folder / f"{index}.jpg")
    return folder


def test_a_line_of_json_an_image(detrt: Command, model: Path, photos: Path, tmp_path: Path) -> None:
    done = detrt("predict", model, photos, "--json", tmp_path / "found.jsonl", "--batch", 2)
    assert done.code == exit_codes.OK
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert [Path(row["image"]).name for row in rows] == ["0.jpg", "1.jpg", "2.jpg"]
    assert (rows[0]["width"], rows[0]["height"]) == (60, 40)
    assert rows[0]["detections"][0] == {"label": 0, "name": "person", "score": 0.9, "box": [15, 20, 45, 40]}
    assert "3 of 3 images" in done.err
    assert "infer" in done.err


def test_threshold_and_classes_choose(detrt: Command, model: Path, photos: Path) -> None:
    low = detrt("predict", model, photos / "0.jpg", "--threshold", 0.3)
    assert low.out.endswith("1 person, 1 car\n")
    assert detrt("predict", model, photos / "0.jpg", "--threshold", 0.3, "--classes", "car").out.endswith(": 1 car\n")
    assert detrt("predict", model, photos / "0.jpg", "--threshold", 0.3, "--classes", "2").out.endswith(": 1 car\n")


def test_a_class_that_is_a_digit_and_no_number_is_unknown(detrt: Command, model: Path, photos: Path) -> None:
    done = detrt("predict", model, photos, "--classes", "²")
    assert done.code == exit_codes.USAGE
    assert "no class '²'" in done.err


def test_a_class_mistyped_is_met_with_a_suggestion(detrt: Command, model: Path, photos: Path) -> None:
    done = detrt("predict", model, photos, "--classes", "pesron")
    assert done.code == exit_codes.USAGE
    assert "did you mean person" in done.err


@pytest.mark.parametrize("none", ["", " , "])
def test_no_class_is_not_all_that_there_is_nothing_of(detrt: Command, model: Path, photos: Path, none: str) -> None:
    done = detrt("predict", model, photos, "--classes", none)
    assert done.code == exit_codes.USAGE
    assert "names no class" in done.err


def test_annotated_copies_have_the_photos_size_and_a_box(
    detrt: Command, model: Path, photos: Path, tmp_path: Path
) -> None:
    twin = tmp_path / "other"
    twin.mkdir()
    (photos / "0.jpg").rename(twin / "1.jpg")
    assert detrt("predict", model, photos, twin, "--save", tmp_path / "out").code == exit_codes.OK
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["1-2.jpg", "1.jpg", "2.jpg"]
    drawn = np.asarray(Image.open(tmp_path / "out" / "1.jpg")).astype(int)
    assert drawn.shape == (40, 60, 3)
    assert np.abs(drawn - 40).max() > 60


@pytest.mark.parametrize("named", ["v.mp4", "photos", "photos/1.jpg"])
def test_annotated_copies_do_not_replace_what_they_are_drawn_on(
    detrt: Command, model: Path, photos: Path, tmp_path: Path, named: str
) -> None:
    (tmp_path / "v.mp4").write_bytes(b"a video")
    folder = (tmp_path / named) if named == "photos" else (tmp_path / named).parent
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    done = detrt("predict", model, tmp_path / named, "--save", folder)
    assert done.code == exit_codes.USAGE
    assert "is read, and would be lost" in done.err
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_copy_of_another_kind_may_lie_beside_its_photo(detrt: Command, model: Path, photos: Path) -> None:
    Image.open(photos / "1.jpg").save(photos / "seen.png")
    assert detrt("predict", model, photos / "seen.png", "--save", photos).code == exit_codes.OK
    assert (photos / "seen.jpg").is_file()


def test_bad_files_are_named_and_the_rest_goes_on(detrt: Command, model: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "empty.jpg").touch()
    (photos / "text.jpg").write_text("hello")
    data = (photos / "1.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(data[: len(data) // 2])
    done = detrt("predict", model, photos, "--json", tmp_path / "found.jsonl")
    assert done.code == exit_codes.SOME_SKIPPED
    assert done.err.count("Skipped:") == 3
    assert "3 of 6 images" in done.err
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    errors = {Path(row["image"]).name: row["error"] for row in rows if "error" in row}
    assert set(errors) == {"cut.jpg", "empty.jpg", "text.jpg"}
    assert "is empty" in errors["empty.jpg"]


def test_a_name_that_is_no_utf8_ends_nothing(detrt: Command, model: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "1.jpg").rename(os.fsdecode(bytes(photos) + b"/0\xff.jpg"))
    Path(os.fsdecode(bytes(photos) + b"/1\xfe.jpg")).touch()
    Path(os.fsdecode(bytes(photos) + b"/2\xfe.mp4")).touch()
    detrt("predict", model, photos, "--json", tmp_path / "found.jsonl", "--save", tmp_path / "pictures")
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    named = {Path(row["image"]).name: "error" in row for row in rows}
    assert named == {"0.jpg": False, "0\ufffd.jpg": False, "1\ufffd.jpg": True, "2.jpg": False, "2\ufffd.mp4": True}


def test_a_name_between_colons_is_no_emoji(detrt: Command, model: Path, photos: Path) -> None:
    (photos / "1.jpg").rename(photos / ":car:.jpg")
    done = detrt("predict", model, photos / ":car:.jpg", photos / "0.jpg")
    assert "/:car:.jpg: " in done.out
    assert "/:100:.jpg." in detrt("predict", model, photos / ":100:.jpg").err


def test_a_full_disk_names_the_file(detrt: Command, model: Path, photos: Path) -> None:
    done = detrt("predict", model, photos, "--json", "/dev/full")
    assert done.code == exit_codes.USAGE
    assert "/dev/full cannot be read or written: No space left on device." in done.err


def test_half_an_onnx_is_an_error_without_traceback(detrt: Command, model: Path, photos: Path) -> None:
    model.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    done = detrt("predict", model, photos)
    assert done.code == exit_codes.MODEL
    assert "cannot load" in done.err
    assert "Traceback" not in done.err


def test_nothing_at_the_source_is_known_before_the_model_is_loaded(detrt: Command, photos: Path) -> None:
    done = detrt("predict", "no-such-model.onnx", photos / "nowhere")
    assert done.code == exit_codes.IMAGE
    assert "nothing at" in done.err


@pytest.mark.parametrize("pair", ["size", "sise=3x3", "mean=1,2", "antialias=maybe", "names=/nowhere"])
def test_a_contract_that_cannot_be_read_is_an_error(detrt: Command, model: Path, photos: Path, pair: str) -> None:
    done = detrt("predict", model, photos, "--contract", pair)
    assert done.code == exit_codes.USAGE
    assert pair in done.err


def test_the_contract_can_be_stated(detrt: Command, model: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\ndog\ncup\n")
    stated = ["--contract", f"names={tmp_path / 'names.txt'}", "--contract", "scale=0.1"]
    done = detrt("predict", model, photos / "2.jpg", *stated, "--threshold", 0, "--json", tmp_path / "found.jsonl")
    assert done.out.endswith("1 cat, 1 cup, 1 dog\n")
    (row,) = map(json.loads, (tmp_path / "found.jsonl").read_text().splitlines())
    assert row["detections"][0]["score"] == pytest.approx(0.9 + 80 * 0.1, abs=0.01)


def test_labels_keep_their_lines_in_a_file_of_names(detrt: Command, model: Path, photos: Path, tmp_path: Path) -> None:
    """An editor may have put a byte order mark first and blank lines last; a blank one amid them shifts all others."""
    (tmp_path / "names.txt").write_bytes("\ufeffcäf\ndog\ncup\n\n \n".encode())
    stated = ["--contract", f"names={tmp_path / 'names.txt'}"]
    done = detrt("predict", model, photos / "0.jpg", *stated)
    assert done.out.endswith("0.jpg: 1 cäf, 1 cup\n")
    (tmp_path / "names.txt").write_text("cat\n\ndog\ncup\n")
    done = detrt("predict", model, photos / "0.jpg", *stated)
    assert done.code == exit_codes.USAGE
    assert "line 2 is blank" in done.err


def test_checkpoint_is_exported_once_and_then_run(
    detrt: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model that is built in finds every object of a drawn picture; for the second run PyTorch may be gone."""
    monkeypatch.setenv("DETRT_CACHE", str(tmp_path / "cache"))
    drawn = validation_scene(1)
    Image.fromarray(drawn.pixels).save(tmp_path / "drawn.png")
    first = detrt("predict", "shapes", tmp_path / "drawn.png", "--json", tmp_path / "found.jsonl")
    assert first.code == exit_codes.OK
    found = json.loads((tmp_path / "found.jsonl").read_text())["detections"]
    assert sorted(row["name"] for row in found) == sorted(CLASSES[label] for label in drawn.labels)
    monkeypatch.setitem(sys.modules, "detrt.graph.export_file", None)
    assert detrt("predict", "shapes", tmp_path / "drawn.png").out == first.out
