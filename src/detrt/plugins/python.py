"""The plugins in Python: registered with TensorRT, of one interface or another."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, get_args

from detrt.errors import UsageError
from detrt.extras import require
from detrt.plugins.operation import NAMESPACE

Interface = Literal["decorated", "aot", "v3", "v2"]
_PURPOSE = "A TensorRT plugin in Python"


def register(interface: Interface = "decorated") -> list[Any]:
    """Let TensorRT know the plugins; before a network that uses them is parsed, or an engine that uses them is read.

    Args:
        interface: `decorated`, by tensorrt.plugin (10.7 and later); `aot`, the same with kernels that become a part of
            the engine, which then needs no Python (10.9 and later); `v3`, IPluginV3 (10 and later); `v2`,
            IPluginV2DynamicExt (deprecated). One of them in a process: their plugins have the same names.

    Returns:
        The creators, to be kept for as long as TensorRT uses them; the decorators keep theirs.

    Raises:
        UsageError: there is no such interface.
        MissingExtraError: TensorRT is not installed, or has no such interface.
    """
    if interface not in get_args(Interface):
        raise UsageError(f"'{interface}' is no plugin interface.", f"Use one of: {', '.join(get_args(Interface))}.")
    trt = require("tensorrt", extra="trt", purpose=_PURPOSE)
    if interface in ("decorated", "aot"):
        require("tensorrt.plugin", extra="trt", purpose=_PURPOSE)
        import_module("detrt.plugins.decorated_aot" if interface == "aot" else "detrt.plugins.decorated")
        return []
    creators: list[Any] = import_module(f"detrt.plugins.python_{interface}").creators()
    registry = trt.get_plugin_registry()
    for creator in creators:
        registry.register_creator(creator, NAMESPACE)
    return creators
