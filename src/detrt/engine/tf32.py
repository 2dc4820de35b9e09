"""FP32 that stays FP32 in TensorRT-RTX, which multiplies in TF32 whatever the builder's flag says.

Seen with 1.6.1 on an H100: engines built with the flag TF32 and without gave the very same scores, up to 3e-2 from ONNX
Runtime's. Under NVIDIA_TF32_OVERRIDE=0, which all of NVIDIA's libraries read, they are 1e-4 apart. The variable counts
when an engine is built and when a context of it is made, and a context made under the other value is refused. So both
happen here under the value that the manifest states, whatever the process was started with.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from detrt.engine.flavour import Flavour

VARIABLE = "NVIDIA_TF32_OVERRIDE"

_ONE_AT_A_TIME = threading.RLock()  # the environment is the whole process's


@contextmanager
def tf32(flavour: Flavour, *, off: bool) -> Iterator[None]:
    """A while in which TensorRT-RTX builds and opens engines without TF32, or with. Nothing happens for TensorRT."""
    if not flavour.is_rtx:
        yield
        return
    with _ONE_AT_A_TIME:
        before = os.environ.pop(VARIABLE, None)
        if off:
            os.environ[VARIABLE] = "0"
        try:
            yield
        finally:
            os.environ.pop(VARIABLE, None)
            if before is not None:
                os.environ[VARIABLE] = before
