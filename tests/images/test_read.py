"""Every kind of photo that people have, and every kind that is none."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detrt.errors import ImageError
from detrt.images import decode_photo, read_photo
from detrt.images.read import Pixels, lies_on_its_side, size_of

MODES = {
    "JPEG": ("RGB", "L", "CMYK", "YCbCr"),
    "PNG": ("RGB", "L", "RGBA", "P", "LA", "1"),
    "TIFF": ("RGB", "L", "RGBA", "P", "CMYK", "1"),
}


@pytest.fixture
def photo() -> Pixels:
    """Smooth colours, so that JPEG keeps them to a few grey levels."""
    y, x = np.mgrid[:40, :60]
    return np.stack([4 * x, 6 * y, 255 - 2 * x - 2 * y], axis=2).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_a_jpeg_is_bit_for_bit_what_pillow_gives(photo: Pixels) -> None:
    data = encoded(Image.fromarray(photo), "JPEG", quality=80)
    assert np.array_equal(decode_photo(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize(
    ("kind", "mode"),
    [(kind, mode) for kind, modes in MODES.items() for mode in modes],
)
def test_every_mode_becomes_rgb(photo: Pixels, kind: str, mode: str) -> None:
    image = Image.fromarray(photo).convert(mode)
    pixels = decode_photo(encoded(image, kind))
    assert pixels.shape == (40, 60, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - np.asarray(image.convert("RGB"))).max() <= 24


def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 220
    pixels = decode_photo(encoded(Image.fromarray(red).convert("CMYK"), "JPEG", quality=95))
    assert pixels[..., 0].mean() > 200
    assert pixels[..., 1:].mean() < 20


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (8, 1))
    pixels = decode_photo(encoded(Image.fromarray(ramp), "PNG"))
    assert pixels[0, :, 0].tolist() == (ramp[0] >> 8).tolist()


@pytest.mark.parametrize("values", [np.float32(0.5), np.int32(70_000), np.int32(200)])
def test_thirty_two_bits_are_refused_rather_than_read_as_black(values: np.generic) -> None:
    data = encoded(Image.fromarray(np.full((8, 8), values)), "TIFF")
    with pytest.raises(ImageError, match=r"scan has .* pixels, of which nobody says what is white"):
        decode_photo(data, name="scan")


def test_sixteen_bits_are_scaled_in_any_format() -> None:
    grey = np.full((8, 8), 200 << 8, np.uint16)
    pgm = b"P5 8 8 65535 " + grey.astype(">u2").tobytes()
    for data in (pgm, encoded(Image.fromarray(grey), "TIFF")):
        assert decode_photo(data).min() == decode_photo(data).max() == 200


def test_one_pixel_is_a_photo() -> None:
    assert decode_photo(encoded(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG")).tolist() == [[[1, 2, 3]]]


def test_a_turned_photo_is_turned_back_for_people_and_left_for_coco(photo: Pixels) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    data = encoded(Image.fromarray(photo), "JPEG", exif=exif, quality=95)
    assert decode_photo(data).shape == (60, 40, 3)
    assert decode_photo(data, upright=False).shape == (40, 60, 3)
    assert np.abs(np.rot90(decode_photo(data), 1).astype(int) - decode_photo(data, upright=False)).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_size_is_known_without_decoding_and_whether_turning_swaps_it(
    photo: Pixels, kind: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(photo), kind, exif=exif)
    as_stored, upright = (decode_photo(data, upright=wanted).shape[:2] for wanted in (False, True))
    assert size_of(data) == as_stored
    assert lies_on_its_side(data) == (as_stored != upright)


@pytest.mark.parametrize("data", [b"", b"text", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0"])
def test_the_size_of_what_is_damaged_is_not_known(data: bytes) -> None:
    assert size_of(data) is None


def test_an_odd_header_is_read_all_the_same(photo: Pixels) -> None:
    data = encoded(Image.fromarray(photo), "JPEG")
    odd = data[:2] + b"\xff\x01" + data[2:]  # TEM, which no encoder of today writes
    assert np.array_equal(decode_photo(odd), decode_photo(data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_cut_off_photo_is_an_error_that_names_it(photo: Pixels, kind: str, share: float) -> None:
    data = encoded(Image.fromarray(np.tile(photo, (8, 8, 1))), kind)
    with pytest.raises(ImageError, match="holiday"):
        decode_photo(data[: int(len(data) * share)], name="holiday")


def test_text_named_jpg_is_no_image(tmp_path: Path) -> None:
    file = tmp_path / "notes.jpg"
    file.write_text("buy milk")
    with pytest.raises(ImageError, match=r"notes.jpg is no image.*buy milk"):
        read_photo(file)


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "empty.jpg"
    file.touch()
    with pytest.raises(ImageError, match="is empty"):
        read_photo(file)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file"):
        read_photo(tmp_path / "none.jpg")


def bomb(width: int, height: int) -> bytes:
    """A PNG that promises many pixels in few bytes."""

    def chunks() -> Iterator[bytes]:
        yield b"\x89PNG\r\n\x1a\n"
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
            yield struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return b"".join(chunks())


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ImageError, match=r"over the limit of 179 megapixels: Image size \(400000000 pixels\)"):
        decode_photo(bomb(20_000, 20_000))


def test_a_jpeg_bomb_is_refused_too(photo: Pixels) -> None:
    data = bytearray(encoded(Image.fromarray(photo), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 20_000, 20_000)
    with pytest.raises(ImageError, match=r"over the limit .*400000000 pixels"):
        decode_photo(bytes(data))
