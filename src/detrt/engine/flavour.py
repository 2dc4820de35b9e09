"""Which TensorRT is here: `tensorrt` (10.x, 11.x) or `tensorrt_rtx`. One strongly typed path serves all of them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from detrt.engine.log import TensorRTLog
from detrt.errors import EngineError, MissingExtraError

if TYPE_CHECKING:
    from detrt.engine import api

FlavourName = Literal["tensorrt", "tensorrt_rtx"]
NAMES: tuple[FlavourName, ...] = get_args(FlavourName)
TITLES: dict[FlavourName, str] = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}
OLDEST: dict[FlavourName, tuple[int, ...]] = {"tensorrt": (10, 7), "tensorrt_rtx": (1, 4)}
"""The oldest versions whose bindings have every attribute that we use (tests/engine/test_api.py)."""


@dataclass(frozen=True)
class Flavour:
    """An importable TensorRT.

    Attributes:
        name: its module.
        version: as the module states it, e.g. `1.6.1.120`.
        trt: the module.
        log: its one logger; every object of the module is made with it.
    """

    name: FlavourName
    version: str
    trt: api.Module = field(repr=False)
    log: TensorRTLog = field(repr=False)

    @property
    def is_rtx(self) -> bool:
        """Whether this is TensorRT-RTX: builds without a GPU, compiles kernels at load, takes no plugins."""
        return self.name == "tensorrt_rtx"

    @property
    def rtx(self) -> api.RtxModule:
        """The module, with what only TensorRT-RTX has."""
        return cast("api.RtxModule", self.trt)

    def __str__(self) -> str:
        """For example `TensorRT-RTX 1.6.1.120`."""
        return f"{TITLES[self.name]} {self.version}"


def find(name: FlavourName | None = None) -> Flavour:
    """The flavour of that name; without one, whichever is here, TensorRT first.

    Raises:
        MissingExtraError: it is not installed, or its libraries cannot be loaded.
        EngineError: it is too old.
    """
    reasons = []
    for candidate in (name,) if name else NAMES:
        try:
            return load(candidate)
        except ImportError as error:  # noqa: PERF203
            reasons.append(f"{candidate}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    wanted = TITLES[name] if name else "neither TensorRT nor TensorRT-RTX"
    raise MissingExtraError(
        f"{wanted} {'cannot' if name else 'can'} be imported here ({'; '.join(reasons)}).",
        "Install one: pip install 'detrt[rtx]' for TensorRT-RTX, or pip install 'detrt[trt]' for TensorRT "
        "(its libraries come from NVIDIA: docs/engines.md).",
    )


@cache
def load(name: FlavourName) -> Flavour:
    """Import the module. Cached, because TensorRT keeps the first logger that it is given for the whole process.

    Raises:
        ImportError: the module or one of its libraries is not here.
        EngineError: it is older than `OLDEST`.
    """
    module: Any = importlib.import_module(name)
    version = str(module.__version__)
    if version_tuple(version) < OLDEST[name]:
        raise EngineError(
            f"{TITLES[name]} {version} is too old.",
            f"Install {'.'.join(map(str, OLDEST[name]))} or later.",
        )
    return Flavour(name, version, module, TensorRTLog(module))


def version_tuple(version: str) -> tuple[int, ...]:
    """`10.14.1.48.post1` -> (10, 14, 1, 48)."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def member(enumeration: api.Enumeration, name: str, of: Flavour) -> api.Member:
    """A member that not every version has.

    Raises:
        EngineError: this version has not.
    """
    found: api.Member | None = getattr(enumeration, name, None)
    if found is None:
        raise EngineError(f"{of} does not know {name}.", "Leave the option out, or use a newer version.")
    return found
