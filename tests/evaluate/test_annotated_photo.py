"""Photos are turned where, and only where, what was annotated is the turned one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from detrt import Detector
from detrt.errors import DatasetError, ImageError
from detrt.evaluate import coco_dataset, evaluate
from detrt.evaluate.annotated_photo import AnnotatedPhoto
from detrt.evaluate.dataset import CocoPhoto
from detrt.graph.onnx_file import save
from detrt.images.sources import Encoded
from tests import tiny
from tests.evaluate.conftest import CocoFolder, rewrite

STORED, UPRIGHT = (40, 60), (60, 40)


@pytest.fixture
def on_its_side(tmp_path: Path) -> Path:
    """40 high and 60 wide, and to be turned by a quarter."""
    return photo_at(tmp_path / "side.jpg", orientation=6)


def photo_at(path: Path, orientation: int) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", STORED[::-1], "red").save(path, exif=exif)
    return path


@pytest.mark.parametrize(("size", "upright"), [(STORED, False), (None, False), (UPRIGHT, True)])
def test_a_photo_is_turned_where_only_that_fits_its_annotations(
    on_its_side: Path, size: tuple[int, int] | None, upright: bool
) -> None:
    photo = AnnotatedPhoto(CocoPhoto(1, on_its_side, size))
    assert isinstance(photo, Encoded)  # so that a GPU's decoder may have the file
    assert photo.encoded() == on_its_side.read_bytes()
    assert photo.upright == upright
    assert AnnotatedPhoto(CocoPhoto(1, on_its_side, size)).pixels().shape[:2] == (UPRIGHT if upright else STORED)


def test_a_photo_of_another_size_is_not_the_one_that_was_annotated(on_its_side: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"side.jpg is 60 pixels wide and 40 high, .* 30 wide and 20 high"):
        AnnotatedPhoto(CocoPhoto(1, on_its_side, (20, 30))).pixels()
    upside_down = photo_at(tmp_path / "down.jpg", orientation=3)
    with pytest.raises(DatasetError, match=r"down.jpg is"):
        AnnotatedPhoto(CocoPhoto(1, upside_down, UPRIGHT)).encoded()


def test_damage_is_told_as_damage(on_its_side: Path) -> None:
    on_its_side.write_bytes(on_its_side.read_bytes()[:30])
    with pytest.raises(ImageError, match=r"side.jpg cannot be decoded"):
        AnnotatedPhoto(CocoPhoto(1, on_its_side, (20, 30))).pixels()


def test_an_evaluation_finds_its_boxes_in_the_photos_that_were_annotated(coco: CocoFolder, tmp_path: Path) -> None:
    photo_at(coco.images / "side.jpg", orientation=6)

    def annotate(content: dict[str, Any]) -> None:
        content["images"][0] |= {"file_name": "side.jpg", "height": UPRIGHT[0], "width": UPRIGHT[1]}
        content["images"][1] |= {"file_name": "side.jpg", "height": STORED[0], "width": STORED[1]}

    rewrite(coco, annotate)
    save(tiny.deploy_model(), tmp_path / "deploy.onnx")
    unnamed = {"class_names": ()}
    with Detector.open(tmp_path / "deploy.onnx", overrides=unnamed) as detector:
        found = evaluate(detector, coco_dataset(coco.annotations, coco.images), journal=tmp_path / "j").found
        rewrite(coco, lambda content: content["images"][4].update(width=7))
        with pytest.raises(DatasetError, match=r"005.png is 100"):
            evaluate(detector, coco_dataset(coco.annotations, coco.images), journal=tmp_path / "j")
    left, top, right, bottom = tiny.BOX
    for number, (height, width) in ((1, UPRIGHT), (2, STORED)):
        assert found[number].boxes[0].tolist() == [left * width, top * height, right * width, bottom * height]
