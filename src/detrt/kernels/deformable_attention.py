"""deformable_attention.cu from Python: its C structs, and how it is launched. The header says what they mean."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from detrt.errors import ModelError
from detrt.kernels.launch import Element, Launch

FILE = "deformable_attention"

THREADS = 128
MAX_LEVELS = 8
"""The header's `DETRT_DEFORMABLE_ATTENTION_THREADS` and `DETRT_MAX_LEVELS`."""

_ROWS, _MOST_ACROSS = 4, 8


class Level(ctypes.Structure):
    """`DetrtLevel`."""

    _fields_ = (("height", ctypes.c_int), ("width", ctypes.c_int), ("points", ctypes.c_int))


class DeformableAttention(ctypes.Structure):
    """`DetrtDeformableAttention`: device addresses and sizes."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("references", ctypes.c_void_p),
        ("offsets", ctypes.c_void_p),
        ("logits", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
        ("batch", ctypes.c_int),
        ("queries", ctypes.c_int),
        ("heads", ctypes.c_int),
        ("head_dim", ctypes.c_int),
        ("reference_size", ctypes.c_int),
        ("offset_scale", ctypes.c_float),
        ("discrete", ctypes.c_int),
        ("level_count", ctypes.c_int),
        ("levels", Level * MAX_LEVELS),
        ("element", ctypes.c_int),
        ("sampling_element", ctypes.c_int),
    )


def set_levels(problem: DeformableAttention, shapes: Sequence[tuple[int, int]], points: Sequence[int]) -> None:
    """Give the problem its maps: height and width of each, and how many points a head samples in each.

    Raises:
        ModelError: more than `MAX_LEVELS`.
    """
    if not 1 <= len(shapes) <= MAX_LEVELS:
        raise ModelError(f"Attention over {len(shapes)} levels.", f"The kernel takes 1 to {MAX_LEVELS}.")
    problem.level_count = len(shapes)
    for place, (shape, count) in enumerate(zip(shapes, points, strict=True)):
        problem.levels[place] = Level(*shape, count)


def launch_of(problem: DeformableAttention) -> Launch:
    """The kernel and its grid; for at least one query.

    Raises:
        ModelError: no kernel takes such elements.
    """
    element, sampling = Element(problem.element), Element(problem.sampling_element)
    if element is Element.int8 or sampling not in (element, Element.float32):
        raise ModelError(
            f"No kernel attends to {element.name} at places in {sampling.name}.",
            "Values may be float32, float16 or bfloat16; places the same or float32.",
        )
    wide = 4 if element is Element.float32 else 8
    vector = wide if problem.head_dim % wide == 0 else 1
    pieces = problem.head_dim // vector
    across = min(_MOST_ACROSS, 1 << (pieces - 1).bit_length())
    lanes = problem.batch * problem.queries * problem.heads * _ROWS * across
    width = "narrow" if vector == 1 else "wide"
    function = f"detrt_deformable_attention_{element.name}_{sampling.name}_{width}"
    return Launch(function, (-(-lanes // THREADS), 1, 1), THREADS)
