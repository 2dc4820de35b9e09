"""What a JPEG file says before its picture begins (ITU-T T.81, annex B)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length: TEM, RST0 to RST7, SOI."""
_SEQUENTIAL = (0xC0, 0xC1)
"""SOF0 and SOF1."""
_SCAN, _APP1 = 0xDA, 0xE1
_EXIF = b"Exif\0\0"


@dataclass(frozen=True)
class Segment:
    """One of them: its marker's second byte, and where its payload begins and ends."""

    marker: int
    start: int
    end: int


def segments(data: bytes) -> Iterator[Segment]:
    """The segments up to the first scan, as far as the file is whole."""
    at, size = 2, len(data)
    while at + 4 <= size and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes may stand before any marker
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker == _SCAN:
            return
        else:
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            yield Segment(marker, at + 4, end)
            at = end


def has_exif(data: bytes) -> bool:
    """Whether there is EXIF, which may say that the pixels are not upright."""
    return any(found.marker == _APP1 and data.startswith(_EXIF, found.start) for found in segments(data))


def is_sequential(data: bytes) -> bool:
    """Whether the picture is stored line by line, not progressively: what decoder chips take."""
    return any(found.marker in _SEQUENTIAL for found in segments(data))
