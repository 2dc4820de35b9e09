"""What a JPEG file says before its picture begins (ITU-T T.81, annex B)."""

from __future__ import annotations

import struct
from typing import NamedTuple

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15; DHT, JPG and DAC lie between them."""
_WITH_LENGTH = frozenset(range(0xC0, 0xFF)) - frozenset(range(0xD0, 0xDA))
"""All that may stand in a header; RST0 to RST7, SOI and EOI may not."""
_SEQUENTIAL = (0xC0, 0xC1)
_TABLES, _SCAN, _RESTARTS, _APP1, _APP2 = 0xC4, 0xDA, 0xDD, 0xE1, 0xE2
_EXIF, _PICTURES = b"Exif\0\0", b"MPF\0"
_FRAME = struct.Struct(">BHHB")  # precision, height, width, components


class JpegHeader(NamedTuple):
    """What comes before the first scan.

    Attributes:
        size: height and width.
        components: 1 of a grey picture, 3 of a coloured one, 4 of one for print.
        sequential: 8 bits a sample, stored line by line, not progressively: what decoder chips take.
        exif: there is EXIF, which may say that the pixels are not upright.
        frame: where the frame's components begin, three bytes each.
        tables: where the segments of Huffman tables begin, at their lengths.
        scan: where the segment of the first scan begins, at its length.
        restarts: its data may begin anew every so often.
        pictures: more of them may follow this one in the same file (CIPA DC-007).
    """

    size: tuple[int, int]
    components: int
    sequential: bool
    exif: bool
    frame: int = 0
    tables: tuple[int, ...] = ()
    scan: int = 0
    restarts: bool = False
    pictures: bool = False


def header_of(data: bytes) -> JpegHeader | None:
    """The header of a JPEG file; None where it is damaged, cut off, or odder than usual."""
    at, length = 2, len(data)
    frame, kind, exif, restarts, pictures = 0, 0, False, False, False
    tables: list[int] = []
    while at + 4 <= length and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _SCAN:
            if not 0 < frame <= at - _FRAME.size:
                return None
            precision, height, width, components = _FRAME.unpack_from(data, frame)
            if not height or not width:
                return None
            sequential = precision == 8 and kind in _SEQUENTIAL
            where = (frame + _FRAME.size, tuple(tables), at + 2, restarts, pictures)
            return JpegHeader((height, width), components, sequential, exif, *where)
        if marker == 0xFF:  # fill bytes may stand before any marker
            at += 1
            continue
        if marker not in _WITH_LENGTH or (marker in _FRAMES and frame):
            return None
        if marker in _FRAMES:
            frame, kind = at + 4, marker
        elif marker == _TABLES:
            tables.append(at + 2)
        elif marker == _RESTARTS:
            restarts = True
        elif marker == _APP1 and data.startswith(_EXIF, at + 4):
            exif = True
        elif marker == _APP2 and data.startswith(_PICTURES, at + 4):
            pictures = True
        at += 2 + (data[at + 2] << 8 | data[at + 3])
    return None
