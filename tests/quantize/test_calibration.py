"""Calibration: which photos, bad ones, none at all; and the cache of what was seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detrt.errors import ImageError, UsageError
from detrt.quantize.cache import load_observation, save_observation
from detrt.quantize.calibration import calibration_set
from detrt.quantize.workbench import Workbench, open_workbench
from tests.quantize.toy import drawn_photos


def test_the_choice_is_the_same_for_the_same_seed(bench: Workbench, photos: Path) -> None:
    def chosen(seed: int) -> list[str]:
        return [path.name for path in calibration_set([str(photos)], bench.contract, limit=5, seed=seed).paths]

    assert chosen(1) == chosen(1) != chosen(2)
    assert calibration_set([str(photos)], bench.contract, limit=5).choice == "5 of 12 photos, random with seed 0"


def test_a_corrupt_photo_is_skipped_by_name_once(toy: Path, tmp_path: Path) -> None:
    folder = drawn_photos(tmp_path / "some", 3)
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    told: list[ImageError] = []
    bench = open_workbench(toy, [str(folder)], skipped=told.append)
    assert bench.calibrated(centred=False).observed.photos == 3
    assert len(list(bench.photos)) == 3
    assert ["cut.jpg" in str(error) for error in told] == [True]


def test_no_photo_is_an_error_that_says_so(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no image in"):
        open_workbench(toy, [str(tmp_path)])
    with pytest.raises(ImageError, match="nothing at"):
        open_workbench(toy, [str(tmp_path / "missing")])
    (tmp_path / "only.jpg").write_bytes(b"no photo")
    with pytest.raises(ImageError, match="None of the 1 calibration photos"):
        open_workbench(toy, [str(tmp_path)]).calibrated(centred=False)
    (tmp_path / "only.jpg").unlink()
    (tmp_path / "film.mp4").write_bytes(b"")
    with pytest.raises(UsageError, match="only videos in"):
        open_workbench(toy, [str(tmp_path)])


def test_a_photo_counts_whatever_it_is_called(toy: Path, tmp_path: Path) -> None:
    photo = next(drawn_photos(tmp_path / "some", 1).iterdir()).rename(tmp_path / "7f3a")
    assert open_workbench(toy, [str(photo)]).photos.paths == (photo,)


def test_what_was_seen_reads_back(bench: Workbench, tmp_path: Path) -> None:
    seen = bench.calibrated(centred=False).observed
    save_observation(tmp_path / "seen.npz", seen)
    again = load_observation(tmp_path / "seen.npz")
    assert again is not None
    assert again.photos == seen.photos == 12
    assert again.histograms.keys() == seen.histograms.keys()
    for name, histogram in seen.histograms.items():
        assert (again.histograms[name].counts == histogram.counts).all()
        assert again.histograms[name].largest == histogram.largest
    for key, samples in seen.samples.items():
        assert np.array_equal(again.samples[key], samples)


def test_a_cut_off_cache_counts_as_none(bench: Workbench, tmp_path: Path) -> None:
    save_observation(tmp_path / "seen.npz", bench.calibrated(centred=False).observed)
    data = (tmp_path / "seen.npz").read_bytes()
    (tmp_path / "seen.npz").write_bytes(data[: len(data) // 2])
    assert load_observation(tmp_path / "seen.npz") is None


def test_other_photos_or_preprocessing_are_another_cache(toy: Path, photos: Path, bench: Workbench) -> None:
    fewer = open_workbench(toy, [str(photos)], limit=5)
    scaled = open_workbench(toy, [str(photos)], overrides={"scale": 1.0})
    assert len({bench.cache, fewer.cache, scaled.cache}) == 3
