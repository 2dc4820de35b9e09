"""Frames of a video, in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from detrt.errors import ImageError
from detrt.extras import require
from detrt.images.read import Pixels


def frames_of(path: Path) -> Iterator[Pixels]:
    """Decode the first video stream of a file, frame by frame, (h, w, 3) uint8 RGB.

    Raises:
        MissingExtraError: PyAV is not installed.
        ImageError: no video, or damaged; frames before the damage have been given by then.
    """
    av = require("av", extra="video", purpose=f"Reading the video {path}")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ImageError(f"{path} holds no video stream.", "Give a video, or a photo.")
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, OSError) as error:
        raise ImageError(
            f"{path} cannot be decoded as a video: {error}.", "Check that it plays; it may be cut off."
        ) from error


def frame_count(path: Path) -> int | None:
    """How many frames the container promises; None where it does not say."""
    av = require("av", extra="video", purpose=f"Reading the video {path}")
    try:
        with av.open(str(path)) as container:
            return (container.streams.video[0].frames or None) if container.streams.video else None
    except (av.FFmpegError, OSError):
        return None  # decoding says what is wrong
