"""The environment variables that detrt reads, and the folders they name. Nothing else reads the environment."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_dir() -> Path:
    """Where downloads and half-done evaluations are kept: `DETRT_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("DETRT_CACHE")
    return Path(chosen).expanduser() if chosen else user_cache_path("detrt")


def model_dirs() -> tuple[Path, ...]:
    """Extra folders to look for models in: `DETRT_MODELS`, separated as `PATH` is."""
    folders = os.environ.get("DETRT_MODELS", "").split(os.pathsep)
    return tuple(Path(folder).expanduser() for folder in folders if folder)
