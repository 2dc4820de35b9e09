"""JPEG files decoded on the GPU, by its own decoder chip where it has one (nvImageCodec)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from detrt.errors import ImageError
from detrt.extras import require

_END = b"\xff\xd9"


@dataclass(frozen=True)
class DecodedJpeg:
    """Interleaved 8-bit RGB in device memory that its decoder owns until it decodes the next group.

    Attributes:
        pitch: bytes from row to row.
        size: height and width.
    """

    pointer: int
    pitch: int
    size: tuple[int, int]


class DecodesJpegs(Protocol):
    """Decodes groups of files, one group at a time."""

    def __call__(self, files: Sequence[bytes], stream: int) -> Sequence[DecodedJpeg | None]:
        """Decode on the device; what is enqueued on `stream` afterwards sees the pixels. None: it cannot."""
        ...

    def close(self) -> None:
        """Let go of the last group, whose memory is given back on its stream; call before that is destroyed."""
        ...


def ends_whole(file: bytes) -> bool:
    """Whether the file has the marker that ends a JPEG. A GPU fills what was cut off with grey and says nothing."""
    return file.rfind(_END, -1024) >= 0


class NvImageCodec:
    """nvImageCodec's decoder on the GPU that the calling thread uses; for one thread at a time.

    Decodes into the memory of the group before: taking new memory for every group stops the GPU.
    """

    def __init__(self, backends: Sequence[str] = ("HW_GPU_ONLY",), *, threads: int = 0) -> None:
        """Make a decoder.

        Args:
            backends: in the order in which they are tried; the chip gives libjpeg-turbo's pixels bit for bit (H100).
            threads: of its own that it may use on the CPU; 0 leaves that to nvImageCodec.

        Raises:
            MissingExtraError: nvImageCodec is not installed.
            ImageError: this GPU has no such decoder.
        """
        codec = self._codec = require("nvidia.nvimgcodec", extra="gpu", purpose="Decoding JPEGs on the GPU")
        kinds = [codec.Backend(getattr(codec.BackendKind, name)) for name in backends]
        try:
            self._decoder = codec.Decoder(backends=kinds, max_num_cpu_threads=threads, options=":fancy_upsampling=1")
        except RuntimeError as error:
            raise ImageError(
                f"This GPU has no JPEG decoder of the kind {' or '.join(backends)} ({error}).",
                "Decode on the CPU, as detrt does by itself.",
            ) from error
        self._params = codec.DecodeParams(apply_exif_orientation=False)
        self._images: list[Any] = []

    def __call__(self, files: Sequence[bytes], stream: int) -> Sequence[DecodedJpeg | None]:
        """See `DecodesJpegs`."""
        streams = [self._codec.CodeStream(file) for file in files]
        largest_first = sorted(range(len(streams)), key=lambda number: -streams[number].height * streams[number].width)
        images = self._decoded([streams[number] for number in largest_first], stream)
        found: list[DecodedJpeg | None] = [None] * len(files)
        for number, image in zip(largest_first, images, strict=True):
            found[number] = None if image is None else _looked_at(image)
        return found

    def _decoded(self, streams: list[Any], stream: int) -> list[Any]:
        """Decode the largest picture into the largest piece of memory and so on, so that they soon fit for good."""
        known = len(self._images)
        images = self._decode(streams[:known], stream, images=self._images[: len(streams)]) if known else []
        images += self._decode(streams[known:], stream) if len(streams) > known else []
        kept = dict(enumerate(self._images)) | {n: image for n, image in enumerate(images) if image is not None}
        self._images = sorted(kept.values(), key=lambda image: -int(image.capacity))
        return images

    def close(self) -> None:
        """See `DecodesJpegs`."""
        self._images = []

    def _decode(self, streams: list[Any], stream: int, **reused: Any) -> list[Any]:
        images: list[Any] = self._decoder.decode(streams, params=self._params, cuda_stream=stream, **reused)
        return images

    def __enter__(self) -> NvImageCodec:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _looked_at(image: Any) -> DecodedJpeg:
    told = image.__cuda_array_interface__
    height, width = told["shape"][:2]
    strides = told.get("strides")
    return DecodedJpeg(int(told["data"][0]), int(strides[0]) if strides else 3 * width, (height, width))
