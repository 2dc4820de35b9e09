"""Evaluation loses nothing when it is interrupted, and gives the published AP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from detrt import Detections, Detector
from detrt.errors import DatasetError, ImageError, NonFiniteError
from detrt.evaluate import coco_dataset, evaluate
from detrt.evaluate.journal import Journal
from detrt.graph.onnx_file import save
from tests import tiny
from tests.evaluate.conftest import PHOTOS, CocoFolder


class Interrupted(BaseException):
    """As Ctrl-C would."""


@pytest.fixture
def detector(tmp_path: Path) -> Iterator[Detector]:
    save(tiny.deploy_model(), tmp_path / "deploy.onnx")
    names = {"class_names": ("cat", "dog", "mug")}
    with Detector.open(tmp_path / "deploy.onnx", overrides=names) as opened:
        yield opened


def stop_after(count: int) -> object:
    def progress(stage: str, done: int, total: int | None) -> None:
        if done == count:
            raise Interrupted

    return progress


@pytest.mark.parametrize("cut_off", [False, True])
def test_a_resumed_run_repeats_nothing_and_ends_the_same(
    coco: CocoFolder, detector: Detector, tmp_path: Path, cut_off: bool
) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    whole = evaluate(detector, dataset, journal=tmp_path / "whole")
    journal = tmp_path / "journal"
    with pytest.raises(Interrupted):
        evaluate(detector, dataset, journal=journal, progress=stop_after(5))  # type: ignore[arg-type]
    if cut_off:  # the machine went down in the middle of a line
        journal.write_bytes(journal.read_bytes()[:-7])
    resumed = evaluate(detector, dataset, journal=journal, resume=True)
    assert resumed.resumed == (4 if cut_off else 5)
    assert resumed.times.images == PHOTOS - resumed.resumed
    assert resumed.scores == whole.scores
    assert not journal.exists()


def test_a_journal_of_another_model_is_not_taken(coco: CocoFolder, detector: Detector, tmp_path: Path) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    with pytest.raises(Interrupted):
        evaluate(detector, dataset, journal=tmp_path / "j", model_hash="a", progress=stop_after(5))  # type: ignore[arg-type]
    assert evaluate(detector, dataset, journal=tmp_path / "j", model_hash="b", resume=True).resumed == 0


def test_a_journal_of_another_contract_is_not_taken(coco: CocoFolder, detector: Detector, tmp_path: Path) -> None:
    dataset = coco_dataset(coco.annotations, coco.images)
    with pytest.raises(Interrupted):
        evaluate(detector, dataset, journal=tmp_path / "j", progress=stop_after(5))  # type: ignore[arg-type]
    contract = detector.contract.replaced(color="BGR")
    assert evaluate(Detector(detector.runtime, contract), dataset, journal=tmp_path / "j", resume=True).resumed == 0


def test_the_journal_gives_the_very_floats_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    found = Detections.of(rng.normal(size=(300, 4)) * 1e3, rng.uniform(size=300), rng.integers(0, 80, 300))
    with Journal(tmp_path / "j", "key", resume=False) as journal:
        journal.add(1, found)
    with Journal(tmp_path / "j", "key", resume=True) as journal:
        back = journal.found[1]
    assert np.array_equal(back.boxes, found.boxes)
    assert np.array_equal(back.scores, found.scores)
    assert np.array_equal(back.labels, found.labels)


def test_an_unreadable_photo_ends_the_evaluation_with_its_name(
    coco: CocoFolder, detector: Detector, tmp_path: Path
) -> None:
    (coco.images / "007.png").write_bytes(b"")
    dataset = coco_dataset(coco.annotations, coco.images)
    with pytest.raises(ImageError, match=r"007.png is empty"):
        evaluate(detector, dataset, journal=tmp_path / "j")


def test_nan_ends_the_evaluation_and_never_scores(coco: CocoFolder, tmp_path: Path) -> None:
    save(tiny.raw_model(np.full((4, 3), np.nan), np.full((4, 4), 0.5)), tmp_path / "nan.onnx")
    dataset = coco_dataset(coco.annotations, coco.images)
    with Detector.open(tmp_path / "nan.onnx") as broken, pytest.raises(NonFiniteError, match=r"001.png"):
        evaluate(broken, dataset, journal=tmp_path / "j")


def test_a_label_without_category_is_an_error(coco: CocoFolder, tmp_path: Path) -> None:
    save(tiny.deploy_model(scores=(0.9, 0.8, 0.7, 0.6, 0.5)), tmp_path / "five.onnx")
    dataset = coco_dataset(coco.annotations, coco.images)
    with (
        Detector.open(tmp_path / "five.onnx", overrides={"class_names": ()}) as detector,
        pytest.raises(DatasetError, match="label 4 in image 1, but there are 3"),
    ):
        evaluate(detector, dataset, journal=tmp_path / "j")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "published"), [("femto", 31.2), ("atto", 23.8)])
def test_the_shared_models_have_their_ap(
    request: pytest.FixtureRequest, shared: Path, tmp_path: Path, name: str, published: float
) -> None:
    dataset = coco_dataset(shared / "coco/instances_val.json", shared / "coco/val")
    with Detector.open(request.getfixturevalue(name)) as detector:
        assert evaluate(detector, dataset, journal=tmp_path / "j").scores.ap == pytest.approx(published, abs=0.15)


def test_the_batch_does_not_change_the_ap(shared: Path, atto: Path, tmp_path: Path) -> None:
    dataset = coco_dataset(shared / "coco/instances_val.json", shared / "coco/val", limit=100)
    with Detector.open(atto) as detector:
        aps = [evaluate(detector, dataset, batch=n, journal=tmp_path / "j").scores.ap for n in (1, 8, 16)]
    assert max(aps) - min(aps) < 0.02
