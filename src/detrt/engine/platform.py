"""What an engine file is tied to besides TensorRT and the GPU."""

from __future__ import annotations

import platform


def here() -> str:
    """Operating system and processor, as manifests name them: `linux-x86_64`."""
    return f"{platform.system().lower()}-{platform.machine().lower()}"
