"""offset_projection.cu from Python: its C structs, and how it is launched. The header says what they mean."""

from __future__ import annotations

import ctypes

from detrt.errors import ModelError
from detrt.kernels.launch import Element, Launch

FILE = "offset_projection"

ROWS, COLUMNS, THREADS = 32, 32, 128
"""The header's `DETRT_OFFSET_PROJECTION_...`."""


class Linear(ctypes.Structure):
    """`DetrtLinear`: device addresses, and the number of columns."""

    _fields_ = (
        ("weight", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
        ("columns", ctypes.c_int),
    )


class OffsetProjection(ctypes.Structure):
    """`DetrtOffsetProjection`."""

    _fields_ = (
        ("x", ctypes.c_void_p),
        ("offsets", Linear),
        ("attention", Linear),
        ("rows", ctypes.c_int),
        ("depth", ctypes.c_int),
        ("x_scale", ctypes.c_float),
        ("x_element", ctypes.c_int),
        ("output_element", ctypes.c_int),
    )


def launch_of(problem: OffsetProjection) -> Launch:
    """The kernel and its grid; for at least one row.

    Raises:
        ModelError: no kernel takes and gives such elements.
    """
    x, output = Element(problem.x_element), Element(problem.output_element)
    if output is Element.int8 or (x not in (Element.int8, output) and output is not Element.float32):
        raise ModelError(
            f"No kernel projects {x.name} to {output.name}.",
            "From int8 it gives float32, float16 or bfloat16; from these the same or float32.",
        )
    slices = sum(-(-part.columns // COLUMNS) for part in (problem.offsets, problem.attention))
    return Launch(f"detrt_offset_projection_{x.name}_{output.name}", (-(-problem.rows // ROWS), slices, 1), THREADS)
