"""What a decoder of JPEG files on the GPU does, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class EncodedJpeg(NamedTuple):
    """A file in pinned host memory, which nobody changes until its pixels are there."""

    pointer: int
    nbytes: int


@dataclass(frozen=True)
class DecodedJpeg:
    """Interleaved 8-bit RGB in device memory that its decoder owns until it decodes the next group.

    Attributes:
        pitch: bytes from row to row.
        size: height and width.
    """

    pointer: int
    pitch: int
    size: tuple[int, int]


class DecodesJpegs(Protocol):
    """Decodes groups of files, one group at a time."""

    def __call__(self, files: Sequence[EncodedJpeg], stream: int) -> Sequence[DecodedJpeg | None]:
        """Decode on the device; what is enqueued on `stream` afterwards sees the pixels. None: it cannot."""
        ...

    def close(self) -> None:
        """Give everything back, the last group's memory too; call before its stream is destroyed."""
        ...
