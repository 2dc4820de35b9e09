"""What each flavour cannot do, said before the builder is started."""

from __future__ import annotations

import onnx

from detrt.engine.flavour import Flavour, version_tuple
from detrt.engine.options import BuildOptions
from detrt.errors import EngineError, UsageError
from detrt.graph.summary import summarise
from detrt.runtime.gpu import Gpu

_RTX_INT8 = (1, 7)
"""The first TensorRT-RTX with INT8 convolutions: 1.4 and 1.6 end with an assertion of their own (tried)."""


def refuse_unsupported(options: BuildOptions, flavour: Flavour, gpu: Gpu | None) -> None:
    """Raise for options that `flavour` ignores or fails on, and for a build that needs a GPU where there is none.

    Raises:
        UsageError: an option of the other flavour.
        EngineError: no GPU.
    """
    if flavour.is_rtx:
        _refuse(flavour, _of_tensorrt(options), "Leave the option out, or build with --flavour tensorrt.")
        if options.refit and gpu is None:
            raise EngineError(
                f"{flavour} needs a GPU to build an engine whose weights can be exchanged, and there is none here.",
                "Leave --refit out, or build on a machine with a GPU.",
            )
        return
    _refuse(
        flavour,
        ["--target (it builds for the GPU that is here)"] if options.targets else [],
        "Leave the option out (--hardware ampere+ makes an engine for several GPUs), or use --flavour tensorrt_rtx.",
    )
    if gpu is None:
        raise EngineError(
            f"{flavour} needs the GPU that the engine is for, and there is none here.",
            "Build on a machine with that GPU, or build with TensorRT-RTX, which needs none: --flavour tensorrt_rtx.",
        )


def refuse_unsupported_model(model: onnx.ModelProto, flavour: Flavour) -> None:
    """Raise for a model that `flavour` would fail on after minutes, with a message about its own insides.

    Raises:
        EngineError: INT8 convolutions for a TensorRT-RTX that has none.
    """
    if not flavour.is_rtx or version_tuple(flavour.version) >= _RTX_INT8:
        return
    found = summarise(model).quantization
    if found and "int8" in found.types and found.covered.get("Conv", (0, 0))[0]:
        raise EngineError(
            f"{flavour} has no INT8 convolutions, and the model has {found.covered['Conv'][0]}.",
            "Build with TensorRT-RTX 1.7 or with TensorRT, or quantize with --precision fp8, or build the float model.",
        )


def _of_tensorrt(options: BuildOptions) -> list[str]:
    """Options that TensorRT-RTX 1.4 to 1.7 warns of and ignores (timing cache, hardware), or fails on (the others)."""
    return [
        name
        for name, chosen in (
            ("--plugin", options.plugins),
            ("--timing-cache", options.timing_cache),
            ("--hardware", options.hardware != "none"),
            ("--version-compatible", options.version_compatible),
        )
        if chosen
    ]


def _refuse(flavour: Flavour, given: list[str], remedy: str) -> None:
    if given:
        raise UsageError(f"{flavour} does not support {', '.join(given)}.", remedy)
