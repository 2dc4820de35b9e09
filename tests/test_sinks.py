"""Where outcomes go: what is left behind when the work ends early."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detrt.detections import Detections
from detrt.images.sources import Frame, Photo
from detrt.images.video import frames_of
from detrt.pipeline import Outcome
from detrt.sinks import Pictures

NOTHING = Detections.of(np.empty((0, 4)), [], [])


def outcome(item: Frame | Photo, value: int = 0) -> Outcome:
    pixels = np.full((32, 48, 3), value, np.uint8)
    return Outcome(item, pixels.shape[:2], pixels, NOTHING)


def frame(value: int) -> Outcome:
    image = np.full((32, 48, 3), value, np.uint8)
    return outcome(Frame(Path("clip.mp4"), 0, image, Fraction(10)), value)


def test_a_video_that_is_interrupted_has_its_frames_until_then(tmp_path: Path) -> None:
    pytest.importorskip("av")
    with pytest.raises(KeyboardInterrupt), Pictures(tmp_path, ()) as pictures:  # noqa: PT012
        for value in (50, 100, 150):
            pictures.add(frame(value))
        assert not (tmp_path / "clip.mp4").exists()
        raise KeyboardInterrupt
    assert [round(float(image.mean()), -1) for image in frames_of(tmp_path / "clip.mp4")] == [50, 100, 150]
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_what_cannot_be_encoded_leaves_the_earlier_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Pictures(tmp_path, ()) as pictures:
        pictures.add(outcome(Photo(Path("a.png")), 100))
    before = (tmp_path / "a.jpg").read_bytes()

    def cut_off(image: Image.Image, path: Path, *_: object, **__: object) -> None:
        path.write_bytes(before[:10])
        raise OSError("no space left")

    monkeypatch.setattr(Image.Image, "save", cut_off)
    with pytest.raises(OSError, match="no space"), Pictures(tmp_path, ()) as pictures:
        pictures.add(outcome(Photo(Path("a.png")), 200))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.jpg": before}
