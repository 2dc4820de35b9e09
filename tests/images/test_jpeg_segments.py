"""What a JPEG says before its picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from detrt.images.jpeg_segments import has_exif, is_sequential, segments

TURNED = Image.Exif()
TURNED[0x0112] = 6


def jpeg(**options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize(("options", "exif", "sequential"), [
    ({}, False, True),
    ({"progressive": True}, False, False),
    ({"exif": TURNED}, True, True),
    ({"exif": TURNED, "progressive": True, "icc_profile": b"p" * 70_000}, True, False),
])  # fmt: skip
def test_what_is_said_is_found(options: dict[str, object], exif: bool, sequential: bool) -> None:
    file = jpeg(**options)
    assert (has_exif(file), is_sequential(file)) == (exif, sequential)


def test_exif_within_the_picture_is_none() -> None:
    file = jpeg()
    scan = file.index(b"\xff\xda")
    assert not has_exif(file[: scan + 20] + b"\xff\xe1\0\x10Exif\0\0" + file[scan + 20 :])


@pytest.mark.parametrize("length", range(0, 200, 7))
def test_a_file_that_was_cut_off_ends_the_search(length: int) -> None:
    for segment in segments(jpeg(exif=TURNED)[:length]):
        assert segment.start <= length


def test_fill_bytes_before_a_marker_are_skipped() -> None:
    file = jpeg(exif=TURNED)
    assert has_exif(file[:2] + b"\xff\xff" + file[2:])
