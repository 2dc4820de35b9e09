"""What people point at."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detrt.errors import ImageError
from detrt.images.sources import Frame, count_items, find_files, open_items
from detrt.images.video import VideoWriter, frames_of

NOBODY = 65534


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "sub/c.jpg"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(file)
    (tmp_path / "notes.txt").write_text("no photo")
    return tmp_path


def test_a_folder_gives_its_images_in_order_and_nothing_else(album: Path) -> None:
    assert [file.name for file in find_files([str(album)])] == ["a.PNG", "b.jpg"]


def test_a_glob_reaches_subfolders(album: Path) -> None:
    assert [file.name for file in find_files([str(album / "**" / "*.jpg")])] == ["b.jpg", "c.jpg"]


def test_a_named_file_is_taken_whatever_it_is_called(album: Path) -> None:
    assert find_files([str(album / "notes.txt")]) == [album / "notes.txt"]


def test_sources_keep_the_order_they_are_given_in(album: Path) -> None:
    files = find_files([str(album / "sub"), str(album / "b.jpg")])
    assert [file.name for file in files] == ["c.jpg", "b.jpg"]


@pytest.mark.parametrize("missing", ["nowhere", "no*thing.jpg", "empty"])
def test_a_source_without_images_is_an_error(album: Path, missing: str) -> None:
    (album / "empty").mkdir()
    with pytest.raises(ImageError, match=r"nothing at|no image in"):
        find_files([str(album / missing)])


@contextmanager
def without_rights() -> Iterator[None]:
    """Root may read anything; for a while be somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_unreadable_folder_is_an_error_that_names_it(album: Path) -> None:
    closed = album / "sub"
    closed.chmod(0)
    try:
        with without_rights(), pytest.raises(ImageError, match=r"cannot be listed: Permission denied"):
            find_files([str(closed)])
    finally:
        closed.chmod(0o755)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten frames, each brighter than the last."""
    path = tmp_path / "clip.mp4"
    writer = VideoWriter(path, (48, 64), Fraction(10))
    for index in range(10):
        writer.add(np.full((48, 64, 3), 20 * index, np.uint8))
    writer.close()
    return path


def test_a_phones_video_stands_upright(tmp_path: Path) -> None:
    path = tmp_path / "phone.mp4"
    writer = VideoWriter(path, (48, 64), Fraction(10))
    left_half_white = np.zeros((48, 64, 3), np.uint8)
    left_half_white[:, :32] = 255
    writer.add(left_half_white)
    writer.close()
    clockwise = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)  # ISO/IEC 14496-12, 8.3.2
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44
    content[matrix : matrix + len(clockwise)] = clockwise
    path.write_bytes(content)
    (frame,) = frames_of(path)
    assert frame.shape == (64, 48, 3)
    assert frame.flags.c_contiguous
    assert frame[:28].mean() > 225
    assert frame[-28:].mean() < 30


def test_frames_keep_their_order_and_their_brightness(clip: Path) -> None:
    assert count_items([clip]) == 10
    frames = list(open_items([clip]))
    assert [frame.index for frame in frames if isinstance(frame, Frame)] == list(range(10))
    means = [float(frame.pixels().mean()) for frame in frames]
    assert np.allclose(means, [20 * index for index in range(10)], atol=6)


def test_a_damaged_video_gives_the_frames_before_the_damage_then_fails(clip: Path) -> None:
    data = clip.read_bytes()
    clip.write_bytes(data[:200])
    items = list(open_items([clip]))
    with pytest.raises(ImageError, match="cannot be decoded as a video"):
        items[-1].pixels()


def test_a_photo_is_no_video(tmp_path: Path) -> None:
    fake = tmp_path / "fake.mp4"
    fake.write_text("not a video at all")
    with pytest.raises(ImageError, match=r"fake.mp4"):
        list(frames_of(fake))
