"""Damaged files behind whose data a decoder that does not see the end comes to rest."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from detrt.images.gpu.run_out import run_out_of
from detrt.images.jpeg_segments import header_of
from detrt.images.read import Pixels

END = b"\xff\xd9"
KINDS: list[dict[str, object]] = [
    {"subsampling": 2},
    {"subsampling": 2, "optimize": True, "quality": 60},
    {"subsampling": 1, "quality": 92},
    {"subsampling": 0, "optimize": True},
    {"grey": True, "optimize": True},
]


def photo(seed: int, height: int = 300, width: int = 401) -> Pixels:
    """Broad and fine structure, as in a photo."""
    rng = np.random.default_rng(seed)
    layers = [rng.integers(0, 256, (size, size, 3), np.uint8) for size in (4, 17, 90)]
    scaled = [np.asarray(Image.fromarray(layer).resize((width, height)), float) for layer in layers]
    return np.clip(sum(part * weight for part, weight in zip(scaled, (0.6, 0.3, 0.1), strict=True)), 0, 255).astype(
        "u1"
    )


def jpeg(pixels: Pixels, *, grey: bool = False, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).convert("L" if grey else "RGB").save(file, "JPEG", **options)
    return file.getvalue()


def trusted(file: bytes) -> bytes | None:
    """The file as the chip gets it, if it gets it."""
    header = header_of(file)
    found = run_out_of(file, header) if header else None
    return found and file[: found.end] + found.tail


def blind(file: bytes, behind: bytes) -> Pixels:
    """What a decoder makes of a file whose end marker it does not see, and of what lies behind."""
    pixels: Pixels = simplejpeg.decode_jpeg(file[: file.rindex(END)] + behind + END, "RGB", strict=False)
    return pixels


def ends_flat(pixels: Pixels) -> bool:
    return bool((pixels[-1, -32:] == pixels[-1, -1]).all())


def data_of(file: bytes) -> bytes:
    """The entropy-coded data."""
    header = header_of(file)
    assert header
    return file[header.scan + (file[header.scan] << 8 | file[header.scan + 1]) : file.rindex(END)]


def cuts(file: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """A file of which 5 to 95 % of the data are left, with an end marker."""
    rng, data = random.Random(seed), data_of(file)
    start = file.index(data)
    for _ in range(count):
        yield file[: start + int(rng.uniform(0.05, 0.95) * len(data))] + END


@pytest.mark.parametrize("kind", KINDS)
def test_no_pixel_of_a_whole_file_changes(kind: dict[str, object]) -> None:
    for seed, size in enumerate(((170, 190), (33, 450), (300, 401))):
        file = jpeg(photo(seed, *size), **kind)  # type: ignore[arg-type]
        given = trusted(file)
        assert given
        assert len(given) > len(file)
        assert np.array_equal(blind(given, b""), simplejpeg.decode_jpeg(file, "RGB", strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_was_cut_ends_flat(kind: dict[str, object]) -> None:
    behind = data_of(jpeg(photo(99), **kind)) * 3  # type: ignore[arg-type]
    file = jpeg(photo(1), **kind)  # type: ignore[arg-type]
    assert not ends_flat(blind(file, behind))
    unseen = seen_without = 0
    for damaged in cuts(file, 25):
        seen_without += ends_flat(blind(damaged, behind))
        given = trusted(damaged)
        assert given
        unseen += not ends_flat(blind(given, behind))
    assert unseen == 0
    assert seen_without < 20  # what lies behind seldom looks like that


@pytest.mark.shared
def test_photos_that_were_cut_end_flat(shared: Path) -> None:
    behind, ends = b"", list[bool]()
    for path in sorted((shared / "coco" / "val").iterdir())[:60]:
        file = path.read_bytes()
        behind = behind or data_of(file) * 2
        for damaged in cuts(file, 3, seed=len(ends)):
            given = trusted(damaged)
            assert given
            ends.append(ends_flat(blind(given, behind)))
    assert np.mean(ends) >= 0.98


def test_half_a_stuffed_byte_makes_no_marker() -> None:
    file = jpeg(photo(3), quality=95)
    stuffed = data_of(file).index(b"\xff\0")
    at = file.index(data_of(file)) + stuffed + 1
    given = trusted(file[:at] + END)
    assert given
    assert given.count(END) == 1
    assert given.startswith(file[: at - 1])
    assert not given.startswith(file[:at])
    assert b"\xff" not in given[at - 1 : -2].replace(b"\xff\0", b"")


def test_what_lies_behind_the_end_stays_there() -> None:
    file = jpeg(photo(3))
    given, other = trusted(file), trusted(file + b"\0" * 200)
    assert given
    assert other == given + b"\0" * 200
    assert trusted(file + b"\0" * 2000) is None


def test_where_another_picture_follows_it_is_the_first_that_is_filled_up() -> None:
    file = jpeg(photo(3))
    first = file[:2] + b"\xff\xe2\0\x06MPF\0" + file[2:]
    given, both = trusted(first), trusted(first + file)
    assert given
    assert both == given + file


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_blocks": 4}])
def test_a_file_of_several_scans_or_with_restarts_is_left_to_others(options: dict[str, object]) -> None:
    assert trusted(jpeg(photo(3), **options)) is None  # type: ignore[arg-type]


def test_a_file_with_a_hole_is_left_to_others() -> None:
    file = jpeg(photo(3), quality=95)
    middle = len(file) // 2
    assert trusted(file[:middle] + bytes(512) + file[middle + 512 :]) is None


def test_a_file_of_which_a_piece_is_missing_ends_flat() -> None:
    file = jpeg(photo(3), quality=95)
    middle = len(file) // 2
    given = trusted(file[:middle] + file[middle + 4096 :])
    assert given
    assert ends_flat(blind(given, data_of(file)))


def test_a_scan_of_one_of_three_components_is_left_to_others() -> None:
    file = jpeg(photo(3))
    assert trusted(file.replace(b"\xff\xda\0\x0c\x03\x01\0\x02\x11\x03\x11", b"\xff\xda\0\x08\x01\x01\0")) is None


def test_a_picture_of_no_blocks_is_left_to_others() -> None:
    file = jpeg(photo(3))
    assert trusted(file.replace(b"\x01\x22\0\x02\x11\x01\x03\x11\x01", b"\x01\0\0\x02\0\x01\x03\0\x01")) is None


def test_a_file_without_its_end_or_its_tables_is_left_to_others() -> None:
    file = jpeg(photo(3))
    assert trusted(file[:-2]) is None
    start = file.index(b"\xff\xc4")
    length = file[start + 2] << 8 | file[start + 3]
    assert trusted(file[:start] + file[start + 2 + length :]) is None


def test_a_header_that_is_damaged_does_no_harm() -> None:
    file, rng = jpeg(photo(3, 40, 40)), random.Random(0)
    start = file.index(data_of(file))
    for _ in range(2000):
        spoilt = bytearray(file)
        for _ in range(rng.randint(1, 4)):
            spoilt[rng.randrange(2, start)] = rng.choice((0, 1, 0x11, 0xFF, rng.randrange(256)))
        damaged = bytes(spoilt[: rng.choice((len(file), start + 2, rng.randrange(start)))]) + END
        given = trusted(damaged)
        assert given is None or len(given) > len(damaged) - 2
