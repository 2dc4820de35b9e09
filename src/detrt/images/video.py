"""Videos as frames in order, and frames as videos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from detrt.errors import ImageError
from detrt.extras import require
from detrt.files import name_of
from detrt.images.read import Pixels

DEFAULT_RATE = Fraction(25)


def frames_of(path: Path) -> Iterator[Pixels]:
    """Decode the first video stream of a file, frame by frame, (h, w, 3) uint8 RGB, turned as a player shows it.

    Raises:
        MissingExtraError: PyAV is not installed.
        ImageError: no video, or damaged; frames before the damage have been given by then.
    """
    av = _av(path)
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ImageError(f"{name_of(path)} holds no video stream.", "Give a video, or a photo.")
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                yield _turned(frame.to_ndarray(format="rgb24"), frame.rotation)
    except (av.FFmpegError, OSError) as error:
        raise ImageError(
            f"{name_of(path)} cannot be decoded as a video: {error}.", "Check that it plays; it may be cut off."
        ) from error


@dataclass(frozen=True)
class VideoInfo:
    """What a container promises: frames (None where it does not say) and frames a second."""

    frames: int | None
    rate: Fraction


def video_info(path: Path) -> VideoInfo:
    """Read the promises without decoding; a damaged file promises nothing, and decoding says what is wrong."""
    av = _av(path)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            return VideoInfo(stream.frames or None, stream.average_rate or DEFAULT_RATE)
    except (av.FFmpegError, OSError, IndexError):
        return VideoInfo(None, DEFAULT_RATE)


class VideoWriter:
    """Frames into an MP4 that any player shows (H.264; MPEG-4 where the build has no H.264 encoder)."""

    def __init__(self, path: Path, size: tuple[int, int], rate: Fraction) -> None:
        """Start a video of frames of (h, w); an odd side loses its last row or column, as the codec wants it."""
        self._av = _av(path)
        self._size = size[0] // 2 * 2, size[1] // 2 * 2
        self._container = self._av.open(str(path), "w", format="mp4")
        codec = "libx264" if "libx264" in self._av.codecs_available else "mpeg4"
        self._stream = self._container.add_stream(codec, rate=rate)
        self._stream.height, self._stream.width = self._size
        self._stream.pix_fmt = "yuv420p"

    def add(self, image: Pixels) -> None:
        """Append a frame of the size given first, RGB."""
        height, width = self._size
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds, and the index."""
        self._container.mux(self._stream.encode())
        self._container.close()


def _turned(image: Pixels, degrees: int) -> Pixels:
    """Counterclockwise, by quarters: phones store upright videos on their side and say so in the container."""
    return np.ascontiguousarray(np.rot90(image, round(degrees / 90))) if degrees else image


def _av(path: Path) -> Any:
    return require("av", extra="video", purpose=f"The video {path}")
