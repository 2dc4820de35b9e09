"""Where a decoder chip that runs beyond the end of a damaged file's data comes to rest.

NVIDIA's JPEG chip does not see where a picture's data end: in a file that was cut off in the middle, but for its end
marker, it reads on into whatever lies in memory behind, and calls that a success. So data are put in there which an
intact file's decoder has no need to read, and which are of one colour, from the file's own Huffman tables.

A chip comes in the middle of a code, a block, or an MCU (the blocks of 8x8 or 16x16 pixels that are stored together;
ITU-T T.81, A.2). One plain block behind the other leaves it there for ever in 2 of 5 files, since what it misreads
repeats as well. A few MCUs of long, different blocks bring it into step; then come as many plain ones as the picture
has.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from detrt.images.jpeg_segments import JpegHeader

STEPS = 16
"""MCUs that bring the chip into step, and which it draws; a picture that lacks no more than those ends in them."""

_END = b"\xff\xd9"
_HOLE = bytes(256)
"""What a lost sector or an unfinished download leaves; one of 791 photos of COCO has as many zeros in a row."""
_MOST_BLOCKS = 10
"""Of an MCU: ITU-T T.81, B.2.3."""
_KINDS = 8
_RANDOM = random.Random(4)  # the best of a dozen seeds for 60 photos in eight forms of storing them
_ORDER = [int(_KINDS * _RANDOM.random()) for _ in range(STEPS * _MOST_BLOCKS)]
"""The kinds of the blocks in the steps."""
_SIGNS = "0110100110010110"
"""Bits of a coefficient, of which its code says how many there are."""


class RunOut(NamedTuple):
    """Follows the first `end` bytes of a file, in place of the others."""

    end: int
    tail: bytes


def run_out_of(file: bytes, header: JpegHeader) -> RunOut | None:
    """Makes a file that a decoder chip can be trusted with: of the same picture, or, if its data end early, flat there.

    Its last 32 pixels are all alike then, unless less than 21 MCUs are missing.

    Args:
        file: a JPEG.
        header: of the file.

    Returns:
        None where there is none: the file has no end marker, holes in its data, more than one sequential scan,
        restarts, or tables that lack the codes.
    """
    end = file.find(_END, header.scan) if header.pictures else file.rfind(_END, -1024)
    if end < header.scan or not header.sequential or header.restarts or _has_hole(file, header.scan):
        return None
    count = header.components
    frame = file[header.frame : header.frame + 3 * count]
    scan = file[header.scan + 2 : header.scan + 3 + 2 * count]
    tables = b"".join([file[at + 2 : at + (file[at] << 8 | file[at + 1])] for at in header.tables])
    try:
        steps, eight = _pieces(frame, scan, tables)
    except LookupError:
        return None
    rest = file[end:]
    while file[end - 1] == 0xFF:  # fill bytes, or half of a byte that was cut
        end -= 1
    return RunOut(end, b"".join((steps, eight * (_mcus(header.size, frame[1::3]) // 8 + 4), rest)))


def ends_whole(file: bytes) -> bool:
    """Whether the file has the marker that ends a JPEG, as far as one can tell without decoding it."""
    return file.rfind(_END, -1024) >= 0


def _has_hole(file: bytes, start: int) -> bool:
    """Whether so many zeros stand in a row; where no few of them do at distances, not every byte is looked at."""
    return bytes(3) in file[start :: len(_HOLE) // 4] and file.find(_HOLE, start) >= 0


def _mcus(size: tuple[int, int], factors: bytes) -> int:
    """How many MCUs a picture has."""
    (height, width), alone = size, len(factors) == 1
    down = 8 * (1 if alone else max(factor & 15 for factor in factors))
    across = 8 * (1 if alone else max(factor >> 4 for factor in factors))
    return -(-height // down) * -(-width // across)


@lru_cache(maxsize=64)
def _pieces(frame: bytes, scan: bytes, tables: bytes) -> tuple[bytes, bytes]:
    """The steps and a little, up to a whole byte; then what is eight plain MCUs, wherever in one it begins.

    Raises:
        LookupError: a table or a code in it is missing, there are no blocks, or there are several scans.
    """
    if 3 * scan[0] != len(frame):
        raise LookupError
    table = _tables(tables)
    blocks = {chosen: _blocks(table[chosen >> 4], table[0x10 | chosen & 15]) for chosen in set(scan[2::2])}
    mcu: list[Sequence[str]] = []
    for factors, chosen in zip(frame[1::3], scan[2::2], strict=False):
        mcu += [blocks[chosen]] * (1 if len(frame) == 3 else (factors >> 4) * (factors & 15))
    if not mcu:
        raise LookupError
    plain = "".join([kinds[0] for kinds in mcu])
    steps = "".join([kinds[kind] for kinds, kind in zip(mcu * STEPS, _ORDER, strict=False)])
    start, size = -(-len(steps) // 8), len(plain)
    bits = (steps + plain * (9 + 8 // size))[: 8 * (start + size)]
    made = int(bits, 2).to_bytes(start + size, "big")
    return _stuffed(made[:start]), _stuffed(made[start:])


def _tables(segments: bytes) -> dict[int, bytes]:
    """Each Huffman table's 16 counts and its symbols, by class and number (T.81, B.2.4.2)."""
    found, at = {}, 0
    while at < len(segments):
        end = at + 17 + sum(segments[at + 1 : at + 17])
        found[segments[at]] = segments[at + 1 : end]
        at = end
    return found


def _blocks(dc: bytes, ac: bytes) -> Sequence[str]:
    """A plain block and others, as bits: the DC coefficient, some of the 63 AC coefficients, the end of the block."""
    same, steps = _codes(dc, 3, 12)
    end, values = _codes(ac, 5, 0x40)  # at most three zeros before each, so that twelve of them fit
    a, b, c = (steps * 3)[:3] or [same] * 3
    p, q, r, s, t = (values * 5)[:5] or [""] * 5
    return (
        same + end,
        a + p * 9 + end,
        b + (q + p) * 5 + end,
        c + r * 7 + end,
        same + (s + q) * 6 + end,
        b + t * 4 + end,
        a + (p + r) * 4 + end,
        same + (t + r + s) * 3 + end,
    )


def _codes(table: bytes, count: int, below: int) -> tuple[str, list[str]]:
    """The code of symbol 0, and those of the first others with the bits that follow them (T.81, C.2).

    Raises:
        LookupError: symbol 0 is missing.
    """
    code, at, zero, others = 1, 16, "", list[str]()  # the 1 in front keeps a code's leading zeros
    for number in table[:16]:
        code *= 2
        for symbol in table[at : at + number]:
            if not symbol:
                zero = bin(code)[3:]
            elif symbol & 15 and symbol < below and len(others) < count:
                others.append(bin(code)[3:] + _SIGNS[: symbol & 15])
            code += 1
        if zero and len(others) == count:
            return zero, others
        at += number
    if not zero:
        raise LookupError
    return zero, others


def _stuffed(data: bytes) -> bytes:
    """Entropy-coded data, in which a zero follows what looks like a marker's beginning."""
    return data.replace(b"\xff", b"\xff\0")
