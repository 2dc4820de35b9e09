"""What a JPEG says before its picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from detrt.images.jpeg_segments import header_of

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
    header = header_of(jpeg(**options))
    assert header
    assert header[:4] == ((16, 16), 3, sequential, exif)


def test_what_libjpeg_turbo_reads_is_what_we_read() -> None:
    rng = np.random.default_rng(0)
    for mode, components in (("L", 1), ("RGB", 3), ("CMYK", 4)):
        height, width = rng.integers(1, 70, 2)
        file = io.BytesIO()
        Image.new(mode, (int(width), int(height))).save(file, "JPEG")
        header = header_of(file.getvalue())
        assert header
        assert header.size == simplejpeg.decode_jpeg_header(file.getvalue())[:2]
        assert header.components == components


def test_exif_within_the_picture_is_none() -> None:
    file = jpeg()
    scan = file.index(b"\xff\xda")
    header = header_of(file[: scan + 20] + b"\xff\xe1\0\x10Exif\0\0" + file[scan + 20 :])
    assert header
    assert not header.exif


@pytest.mark.parametrize("length", range(0, 600, 7))
def test_a_header_that_was_cut_off_is_none(length: int) -> None:
    file = jpeg(exif=TURNED)
    assert length < file.index(b"\xff\xda")
    assert header_of(file[:length]) is None


@pytest.mark.parametrize("frame", [b"\0\x02", b"\0\x08\x08\0\0\0\x05\x03", b"\0\0", b"\xff\xff"])
def test_a_frame_that_says_too_little_is_none(frame: bytes) -> None:
    assert header_of(b"\xff\xd8\xff\xc0" + frame + b"\xff\xda\0\x08") is None


@pytest.mark.parametrize(
    "odd", [b"\xff\xd0", b"\xff\xd9", b"\xff\xc0\0\x11\x08\0\x05\0\x05\x01\x01\x11\0", b"\0\0\0\0"]
)
def test_what_may_not_stand_in_a_header_makes_it_odd(odd: bytes) -> None:
    file = jpeg()
    scan = file.index(b"\xff\xda")
    assert header_of(file[:scan] + odd + file[scan:]) is None


def test_fill_bytes_before_a_marker_are_skipped() -> None:
    file = jpeg(exif=TURNED)
    header, filled = header_of(file), header_of(file[:2] + b"\xff\xff" + file[2:])
    assert header
    assert filled
    assert header[:4] == filled[:4]
    assert header.scan + 2 == filled.scan


def test_a_decoder_finds_what_it_needs() -> None:
    file = jpeg(exif=TURNED)
    header = header_of(file)
    assert header
    assert file[header.frame :][:9] == b"\x01\x22\0\x02\x11\x01\x03\x11\x01"
    assert file[header.scan - 2 :][:5] == b"\xff\xda\0\x0c\x03"
    assert [file[at - 2 :][:2] for at in header.tables] == [b"\xff\xc4"] * file[: header.scan].count(b"\xff\xc4")
    assert not header.restarts
    assert not header.pictures


def test_restarts_and_further_pictures_are_told() -> None:
    file = jpeg()
    scan = file.index(b"\xff\xda")
    header = header_of(file[:scan] + b"\xff\xdd\0\x04\0\x01" + b"\xff\xe2\0\x06MPF\0" + file[scan:])
    assert header
    assert header.restarts
    assert header.pictures
