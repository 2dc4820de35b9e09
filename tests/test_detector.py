"""Photos through a detector whose answers can be computed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from detrt import Detector
from detrt.contract import ResizeRule
from detrt.detector import contract_of
from detrt.errors import ContractError, ModelError, UsageError
from detrt.graph.onnx_file import save, with_contract
from detrt.images import Pixels
from detrt.images.resize import place
from detrt.runtime.base import Array
from detrt.runtime.onnxruntime import OnnxRuntime
from tests import tiny


def photo(height: int, width: int, level: int = 0) -> Pixels:
    return np.full((height, width, 3), level, np.uint8)


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    save(tiny.deploy_model(), tmp_path / "deploy.onnx")
    return tmp_path / "deploy.onnx"


def test_boxes_are_in_each_photos_own_pixels(deploy: Path) -> None:
    with Detector.open(deploy) as detector:
        small, large = detector.detect([photo(100, 200), photo(400, 40)])
    assert small.boxes[0].tolist() == [50, 50, 150, 100]
    assert large.boxes[0].tolist() == [10, 200, 30, 400]
    assert small.labels.tolist() == [0, 2, 1]


def test_the_pixels_reach_the_network(deploy: Path) -> None:
    with Detector.open(deploy) as detector:
        assert detector(photo(10, 10, 255)).scores[0] == pytest.approx(1.9)
        assert detector(photo(10, 10, 0)).scores[0] == pytest.approx(0.9)


def test_letterboxed_boxes_lose_the_padding(deploy: Path) -> None:
    with Detector.open(deploy, overrides={"resize": ResizeRule("letterbox")}) as detector:
        found = detector(photo(48, 48))
    # 48x48 becomes 32x32 in the middle of 32x48: 12 photo pixels of padding on either side of 72
    assert found.boxes[0].tolist() == [72 * 0.25 - 12, 24, 72 * 0.75 - 12, 48]


@pytest.mark.parametrize("shape", [(47, 31), (333, 500), (1000, 3)])
def test_a_letterbox_of_odd_sides_loses_nothing_to_whole_pixels(deploy: Path, shape: tuple[int, int]) -> None:
    """The model takes the extent in whole pixels; its boxes come back at the very place all the same."""
    with Detector.open(deploy, overrides={"resize": ResizeRule("letterbox")}) as detector:
        (found,) = detector.detect([photo(*shape)])
    spot = place(shape, tiny.SIZE, ResizeRule("letterbox"))
    corners = np.array(tiny.BOX) * np.tile(spot.span, 2) - np.tile(spot.offset, 2)
    assert np.allclose(found.boxes[0], corners, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_a_fixed_batch_takes_any_number_of_photos(tmp_path: Path, count: int) -> None:
    save(tiny.deploy_model(batch=3), tmp_path / "three.onnx")
    photos = [photo(20, 20 + index, 30 * index) for index in range(count)]
    with Detector.open(tmp_path / "three.onnx") as fixed:
        found = fixed.detect(photos)
    assert [round(float(row.scores[0] - 0.9) * 255) for row in found] == [30 * index for index in range(count)]
    assert [row.boxes[0, 2] for row in found] == [0.75 * (20 + index) for index in range(count)]


class FourToEight(OnnxRuntime):
    """A model that takes four to eight photos a run, as an engine might."""

    profile: ClassVar = {"images": ((4, 3, *tiny.SIZE), (8, 3, *tiny.SIZE), (8, 3, *tiny.SIZE))}
    ran: list[int]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.ran = [*getattr(self, "ran", []), *{len(value) for value in feeds.values()}]
        return super().run(feeds)


@pytest.mark.parametrize(("count", "runs"), [(1, [4]), (4, [4]), (7, [7]), (17, [8, 8, 4])])
def test_an_engine_that_takes_so_many_at_least_and_at_most_takes_any_number(
    deploy: Path, count: int, runs: list[int]
) -> None:
    runtime = FourToEight(deploy)
    photos = [photo(20, 20 + index, 10 * index) for index in range(count)]
    with Detector(runtime, contract_of(runtime, {})) as detector:
        found = detector.detect(photos)
    assert [round(float(row.scores[0] - 0.9) * 255) for row in found] == [10 * index for index in range(count)]
    assert [row.boxes[0, 2] for row in found] == [0.75 * (20 + index) for index in range(count)]
    assert runtime.ran == runs


def test_so_does_a_stream_whose_last_photos_are_few(deploy: Path) -> None:
    runtime = FourToEight(deploy)
    with Detector(runtime, contract_of(runtime, {})) as detector:
        found = list(detector.stream([photo(20, 20, 10 * index) for index in range(6)], batch=4))
    assert [round(float(row.scores[0] - 0.9) * 255) for row in found] == [10 * index for index in range(6)]


def test_what_is_no_photo_is_refused_with_what_is(deploy: Path) -> None:
    image = Image.new("RGB", (40, 30))
    with Detector.open(deploy) as detector:
        with pytest.raises(UsageError, match="of the type Image"):
            detector(image)  # type: ignore[arg-type]
        assert len(detector(np.asarray(image.convert("RGB"))))


def test_closing_twice_is_fine(deploy: Path) -> None:
    with Detector.open(deploy) as detector:
        detector.close()


def test_no_photos_no_detections(deploy: Path) -> None:
    with Detector.open(deploy) as detector:
        assert detector.detect([]) == []


def test_raw_outputs_are_decoded_over_queries_and_classes(tmp_path: Path) -> None:
    logits = np.full((4, 3), -9.0)
    logits[1] = [2.0, -9.0, 1.0]  # one query, two classes: both count
    logits[3, 1] = 1.5
    boxes = np.tile([0.5, 0.5, 0.2, 0.4], (4, 1))
    boxes[3] = [0.25, 0.75, 0.5, 0.5]
    save(tiny.raw_model(logits, boxes), tmp_path / "raw.onnx")
    with Detector.open(tmp_path / "raw.onnx") as detector:
        found = detector(photo(100, 200)).above(0.5)
    assert found.labels.tolist() == [0, 1, 2]
    assert found.scores.tolist() == pytest.approx([1 / (1 + np.exp(-x)) for x in (2.0, 1.5, 1.0)])
    assert np.allclose(found.boxes, [[80, 30, 120, 70], [0, 50, 100, 100], [80, 30, 120, 70]], atol=1e-4)


def test_a_raw_model_keeps_top_k_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    logits, boxes = rng.normal(size=(200, 5)), rng.uniform(size=(200, 4))
    save(tiny.raw_model(logits, boxes, names=("logits", "pred_boxes")), tmp_path / "raw.onnx")
    with Detector.open(tmp_path / "raw.onnx") as detector:
        found = detector(photo(10, 10))
    best = np.sort(logits.ravel())[::-1][:300]
    assert np.allclose(found.scores, 1 / (1 + np.exp(-best)), atol=1e-6)


def test_the_models_own_contract_wins_over_any_guess(tmp_path: Path, deploy: Path) -> None:
    with Detector.open(deploy) as detector:
        own = detector.contract.replaced(class_names=("a", "b", "c"), scale=1.0)
    save(with_contract(tiny.deploy_model(), own), tmp_path / "own.onnx")
    with Detector.open(tmp_path / "own.onnx") as detector:
        assert detector.contract == own
        assert detector(photo(10, 10, 2)).scores[0] == pytest.approx(2.9)


def test_half_a_file_is_an_error(deploy: Path) -> None:
    data = deploy.read_bytes()
    deploy.write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match=r"cannot load .*deploy.onnx"):
        Detector.open(deploy)


@pytest.mark.parametrize(("name", "why"), [("none.onnx", "no model at"), ("model.txt", "no known suffix")])
def test_what_is_no_model_is_an_error(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "model.txt").touch()
    with pytest.raises(ModelError, match=why):
        Detector.open(tmp_path / name)


def test_a_contradicted_size_is_an_error(deploy: Path) -> None:
    with pytest.raises(ContractError, match="takes 32x48 only"):
        Detector.open(deploy, overrides={"input_size": (64, 64)})


def test_a_device_that_is_not_there_is_an_error(deploy: Path) -> None:
    with pytest.raises(ModelError, match="'gpu9' is no device"):
        Detector.open(deploy, device="gpu9")
