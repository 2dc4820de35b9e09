"""What a JPEG file says before its picture begins (ITU-T T.81, annex B)."""

from __future__ import annotations

import struct
from typing import NamedTuple

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15; DHT, JPG and DAC lie between them."""
_WITH_LENGTH = frozenset(range(0xC0, 0xFF)) - frozenset(range(0xD0, 0xDA))
"""All that may stand in a header; RST0 to RST7, SOI and EOI may not."""
_SEQUENTIAL = (0xC0, 0xC1)
_SCAN, _APP1 = 0xDA, 0xE1
_EXIF = b"Exif\0\0"
_FRAME = struct.Struct(">BHHB")  # precision, height, width, components


class JpegHeader(NamedTuple):
    """What comes before the first scan.

    Attributes:
        size: height and width.
        components: 1 of a grey picture, 3 of a coloured one, 4 of one for print.
        sequential: 8 bits a sample, stored line by line, not progressively: what decoder chips take.
        exif: there is EXIF, which may say that the pixels are not upright.
    """

    size: tuple[int, int]
    components: int
    sequential: bool
    exif: bool


def header_of(data: bytes) -> JpegHeader | None:
    """The header of a JPEG file; None where it is damaged, cut off, or odder than usual."""
    at, length = 2, len(data)
    frame, kind, exif = 0, 0, False
    while at + 4 <= length and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _SCAN:
            return _header(data, frame, kind, exif) if 0 < frame <= at - _FRAME.size else None
        if marker == 0xFF:  # fill bytes may stand before any marker
            at += 1
            continue
        if marker not in _WITH_LENGTH or (marker in _FRAMES and frame):
            return None
        if marker in _FRAMES:
            frame, kind = at + 4, marker
        elif marker == _APP1 and data.startswith(_EXIF, at + 4):
            exif = True
        at += 2 + (data[at + 2] << 8 | data[at + 3])
    return None


def _header(data: bytes, frame: int, kind: int, exif: bool) -> JpegHeader | None:
    precision, height, width, components = _FRAME.unpack_from(data, frame)
    if not height or not width:
        return None
    return JpegHeader((height, width), components, precision == 8 and kind in _SEQUENTIAL, exif)
