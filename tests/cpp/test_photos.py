"""The C++ library reads photos as Python does."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detrt.contract import ResizeRule
from detrt.images.fixed_point import resize_fixed_point
from detrt.images.read import decode_photo, read_photo
from detrt.images.resize import place, resize
from detrt.images.sources import find_files
from tests.cpp.conftest import Peer, Refused, refusal
from tests.images.test_run_out import trusted


@pytest.mark.parametrize("rule", [ResizeRule(), ResizeRule(antialias=False), ResizeRule("letterbox", pad=9)])
@pytest.mark.parametrize("size", [(32, 48), (480, 640), (37, 700), (900, 11), (3, 2)])
def test_resizing(peer: Peer, tmp_path: Path, rule: ResizeRule, size: tuple[int, int]) -> None:
    photo = np.random.default_rng(size[0]).integers(0, 256, (*size, 3), np.uint8)
    (tmp_path / "photo").write_bytes(photo.tobytes())
    target = (32, 48)
    peer(
        "resize", pixels=tmp_path / "photo", height=size[0], width=size[1], to=target, into=tmp_path / "small",
        letterbox=rule.mode == "letterbox", antialias=rule.antialias, pad=rule.pad,
    )  # fmt: skip
    made = np.frombuffer((tmp_path / "small").read_bytes(), np.uint8).reshape(*target, 3)
    placement = place(size, target, rule)
    np.testing.assert_array_equal(made, resize_fixed_point(photo, placement, rule))
    assert np.abs(made.astype(int) - resize(photo, placement, rule)).max() <= 1  # Pillow's own


def test_photos(peer: Peer, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    photos = [tmp_path / name for name in ("grey.jpg", "p.png", "palette.gif", "b.bmp", "deep.png", "clear.png")]
    Image.fromarray(pixels).convert("L").save(photos[0])
    Image.fromarray(pixels).save(photos[1])
    Image.fromarray(pixels[..., 0]).save(photos[2])
    Image.fromarray(pixels).save(photos[3])
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(photos[4])
    Image.fromarray(np.dstack([pixels, pixels[..., :1]])).save(photos[5])
    Image.fromarray(pixels).convert("CMYK").save(for_print := io.BytesIO(), "JPEG")
    inks = for_print.getvalue()
    adobe = inks.index(b"\xff\xee\0\x0eAdobe")
    luma = inks[: adobe + 15] + b"\2" + inks[adobe + 16 :]  # the inks as brightness and colour
    for name, data in (("inks", inks), ("luma", luma), ("unmarked", inks[:adobe] + inks[adobe + 16 :])):
        photos.append(tmp_path / f"{name}.jpg")
        photos[-1].write_bytes(data)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        photos.append(tmp_path / f"turned{orientation}.jpg")
        Image.fromarray(pixels).save(photos[-1], exif=exif, quality=95)
    for photo in photos:
        for upright in (True, False):
            size = peer("photo", path=photo, upright=upright, into=tmp_path / "pixels")
            made = np.frombuffer((tmp_path / "pixels").read_bytes(), np.uint8).reshape(*size, 3)
            np.testing.assert_array_equal(made, read_photo(photo, upright=upright), err_msg=f"{photo} {upright}")


def tiff(*entries: tuple[int, int, int, bytes], order: str = "<", head: bytes = b"II*\0") -> bytes:
    """EXIF of entries: tag, type, count, value."""
    packed = (struct.pack(order + "HHL", *entry[:3]) + entry[3] for entry in entries)
    return head + struct.pack(order + "LH", 8, len(entries)) + b"".join(packed) + b"\6\0\1\0\1\0"


SIX = b"\6\0\0\0"


EXIFS = {
    "short": tiff((0x0112, 3, 1, SIX)),
    "big-endian": tiff((0x0112, 3, 1, b"\0\6\0\0"), order=">", head=b"MM\0*"),
    "long": tiff((0x0112, 4, 1, SIX)),
    "signed byte": tiff((0x0112, 6, 1, SIX)),
    "first of two": tiff((0x0112, 3, 1, b"\3\0\0\0"), (0x0112, 3, 1, SIX)),
    "first of three values": tiff((0x0112, 3, 3, b"\x16\0\0\0")),
    "behind others": tiff((0x0100, 3, 1, SIX), (0x0112, 99, 1, SIX), (0x0112, 3, 0, SIX), (0x0112, 3, 1, SIX)),
    "text": tiff((0x0112, 2, 2, b"6\0\0\0")),
    "out of range": tiff((0x0112, 3, 1, b"\x09\0\0\0")),
    "cut": tiff((0x0112, 3, 1, SIX))[:-8],
    "twice marked": b"Exif\0\0" + tiff((0x0112, 3, 1, SIX)),
    "empty": b"",
}


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def chunk(content: bytes, kind: bytes = b"eXIf") -> bytes:
    named = kind + content
    return len(content).to_bytes(4, "big") + named + zlib.crc32(named).to_bytes(4, "big")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")  # it says what is odd about EXIF
def test_how_photos_were_held(peer: Peer, tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8).repeat(8, 0).repeat(8, 1))
    files = []
    for mode, kind in (("RGB", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG")):
        image.convert(mode).save(encoded := io.BytesIO(), kind)
        files.append(encoded.getvalue())
    plain, cmyk, png = files
    exif, late = segment(0xE1, b"Exif\0\0" + EXIFS["short"]), segment(0xFE, bytes(65000))
    photos = {
        "behind long comments": plain[:2] + late + late + exif + plain[2:],
        "in a comment": plain[:2] + segment(0xFE, b"Exif\0\0" + EXIFS["short"]) + plain[2:],
        "in two segments": plain[:2]
        + exif[:3]
        + b"\x16"
        + exif[4:24]
        + segment(0xE1, b"Exif\0\0" + exif[24:])
        + plain[2:],
        "behind a filling": plain[:2] + b"\xff\xff" + exif + plain[2:],
        "for print": cmyk[:2] + exif + cmyk[2:],
        "png": png[:33] + chunk(EXIFS["short"]) + png[33:],
        "png, at its end": png[:-12] + chunk(EXIFS["big-endian"]) + png[-12:],
    }
    photos |= {name: plain[:2] + segment(0xE1, b"Exif\0\0" + content) + plain[2:] for name, content in EXIFS.items()}
    for name, data in photos.items():
        (tmp_path / "photo").write_bytes(data)
        for upright in (True, False):
            size = peer("photo", path=tmp_path / "photo", upright=upright, into=tmp_path / "pixels")
            made = np.frombuffer((tmp_path / "pixels").read_bytes(), np.uint8).reshape(*size, 3)
            np.testing.assert_array_equal(made, decode_photo(data, upright=upright), err_msg=f"{name} {upright}")


def spoilt(file: bytes, rng: random.Random) -> Iterator[bytes]:
    """A JPEG as it is, and cut, with holes, followed by others, with a header that was changed."""
    end = b"\xff\xd9"
    yield from (file, file + bytes(200), file[:-300] + end, file[:-300] + bytes(300) + end, file[:-2])
    yield file[:2] + b"\xff\xe2\0\x06MPF\0" + file[2:] + file
    for _ in range(60):
        damaged = bytearray(file)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(2, min(660, len(file)))] = rng.choice((0, 1, 0x11, 0xFF, rng.randrange(256)))
        yield bytes(damaged)


@pytest.mark.parametrize(
    ("mode", "options", "least"),
    [
        ("RGB", {"subsampling": 2}, 30),
        ("RGB", {"subsampling": 0, "optimize": True}, 30),
        ("L", {}, 30),
        ("RGB", {"progressive": True}, 0),
        ("RGB", {"restart_marker_blocks": 2}, 0),
    ],
)
def test_run_outs_of_jpegs(peer: Peer, tmp_path: Path, mode: str, options: dict[str, Any], least: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8).repeat(3, 0).repeat(3, 1)
    pixels[:, -24:] = 128  # for codes of plain blocks
    Image.fromarray(pixels).convert(mode).save(tmp_path / "photo.jpg", **options)
    given = 0
    for data in spoilt((tmp_path / "photo.jpg").read_bytes(), random.Random(0)):
        (tmp_path / "spoilt.jpg").write_bytes(data)
        ours = trusted(data)
        assert peer("run-out", path=tmp_path / "spoilt.jpg", into=tmp_path / "made") == (ours is not None)
        if ours is not None:
            given += 1
            assert (tmp_path / "made").read_bytes() == ours
    assert given >= least


def bitmap(height: int, width: int) -> bytes:
    Image.new("RGB", (4, 4), "orange").save(encoded := io.BytesIO(), "BMP")
    return encoded.getvalue()[:18] + struct.pack("<ll", width, height) + encoded.getvalue()[26:]


def png(height: int, width: int) -> bytes:
    header = chunk(struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0), b"IHDR")
    return b"\x89PNG\r\n\x1a\n" + header + chunk(zlib.compress(b"\0"), b"IDAT") + chunk(b"", b"IEND")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_photos_that_are_none_are_refused_in_the_same_words(peer: Peer, tmp_path: Path) -> None:
    huge, none = (14000, 14000), (0, 4)
    cases = {"huge.png": png(*huge), "none.png": png(*none), "huge.bmp": bitmap(*huge), "none.bmp": bitmap(*none)}
    cases |= {"empty.jpg": b"", "text.jpg": b"no \x00\xff 'image'\n at all", "quote": b"it's", "both": b"'\""}
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        ours = refusal(partial(decode_photo, data, name=str(tmp_path / name)))
        assert ours
        assert refusal(partial(peer, "photo", path=tmp_path / name, upright=True, into=tmp_path / "pixels")) == ours
    (tmp_path / "from its top.bmp").write_bytes(bitmap(-4, 4))
    assert peer("photo", path=tmp_path / "from its top.bmp", upright=True, into=tmp_path / "pixels") == [4, 4]
    with pytest.raises(Refused, match="cannot be read: No such file or directory"):
        peer("photo", path=tmp_path / "none.jpg", upright=True, into=tmp_path / "pixels")


def test_finding_photos(peer: Peer, tmp_path: Path) -> None:
    for name in ("b.jpg", "A.PNG", "c.txt", "sub/d.jpeg", "sub/deep/e.webp", ".hidden/f.jpg", "sub.x/g.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"-")
    for source in ("", "b.jpg", "c.txt", "*.jpg", "**/*.jpg", "**/*.jpeg", "sub/**/*.webp", "s*/[dg].jp*g", "**/sub/*"):
        expected = [str(file) for file in find_files([f"{tmp_path}/{source}"])]
        assert peer("find", path=f"{tmp_path}/{source}") == expected, source
