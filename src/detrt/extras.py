"""Optional dependencies, imported where they are used and named when they are missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from detrt.errors import MissingExtraError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import `module`, or say which extra of detrt brings it.

    Args:
        module: dotted name, e.g. `"torch"`.
        extra: the extra of this package that installs it.
        purpose: what it is needed for, as the subject of "needs": `"Reading videos"`.

    Raises:
        MissingExtraError: the module is not installed, or fails to import.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs the package '{module.partition('.')[0]}', which cannot be imported here ({error}).",
            f"Install it with: pip install 'detrt[{extra}]'",
        ) from error
