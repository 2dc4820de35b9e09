"""The `detrt` command: one module a command; each reads options, calls one function of a room below, and prints.

The commands are registered by their import, in the order in which `detrt --help` lists them.
"""

from __future__ import annotations

from detrt.cli import (
    bench,
    build,
    compare,
    doctor,
    evaluate,
    export,
    graph,
    inspect,
    mark,
    models,
    plugins,
    predict,
    profile,
    quantize,
    repair,
    sensitivity,
    workflow,
)
from detrt.cli.app import main

__all__ = [
    "bench",
    "build",
    "compare",
    "doctor",
    "evaluate",
    "export",
    "graph",
    "inspect",
    "main",
    "mark",
    "models",
    "plugins",
    "predict",
    "profile",
    "quantize",
    "repair",
    "sensitivity",
    "workflow",
]
