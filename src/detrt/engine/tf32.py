"""FP32 that stays FP32 in TensorRT-RTX, which multiplies in TF32 whatever the builder's flag says.

Seen with 1.6.1 on an H100: engines built with the flag TF32 and without gave the very same scores, up to 3e-2 from ONNX
Runtime's. Under NVIDIA_TF32_OVERRIDE=0, which NVIDIA's libraries read, they are 1e-4 apart. A process decides for good
when it makes its first builder or context. An engine that is built under the variable is refused wherever it is not
set; so nothing is built under it here, but a builder is made, which decides, and is thrown away.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass

from detrt.engine.flavour import Flavour

VARIABLE = "NVIDIA_TF32_OVERRIDE"

logger = logging.getLogger("detrt.engine")


@dataclass
class Process:
    """What this process has decided; None before its first builder or context."""

    tf32: bool | None = None


process = Process()
_deciding = threading.Lock()


def decide_on_tf32(flavour: Flavour, precision: str) -> None:
    """Keep TF32 out of all of this process's TensorRT-RTX engines, unless the first of them is to have it.

    Call it before anything is built or a context is made. TensorRT keeps to its flag, so nothing happens for it. An
    engine in TF32 that comes later computes in FP32; one in FP32 that comes after one in TF32 cannot, and that is told.

    Args:
        flavour: whose engine is built or opened next.
        precision: what was asked for: `fp32`, `tf32`, `fp16`, `bf16`.
    """
    if not flavour.is_rtx:
        return
    wanted = precision == "tf32"
    with _deciding:
        if process.tf32 is None:
            process.tf32 = wanted
            if not wanted:
                _make_a_builder(flavour)
        elif process.tf32 and precision == "fp32":
            logger.warning(
                "FP32 is computed in TF32 here, as the first TensorRT-RTX engine of this process wanted it; "
                "run the two in processes of their own"
            )


def _make_a_builder(flavour: Flavour) -> None:
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "0"
    try:
        flavour.trt.Builder(flavour.log.native)
    finally:
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before
