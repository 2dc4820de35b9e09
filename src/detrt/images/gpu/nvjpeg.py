"""JPEG files decoded by the GPU's own decoder chip, through nvJPEG's C interface.

nvImageCodec drives the same chip, by way of threads, futures and images of its own, for whose sake one photo that
somebody waits for took longer (docs/benchmarks.md).
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from detrt.errors import ImageError, MissingExtraError
from detrt.extras import require
from detrt.images.gpu.jpeg import DecodedJpeg, EncodedJpeg
from detrt.runtime.gpu import Gpu, Memory

_HARDWARE = 3  # NVJPEG_BACKEND_HARDWARE
_STRICT = 1 << 2  # NVJPEG_FLAGS_BITSTREAM_STRICT
_FANCY = 1 << 5  # NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION: what libjpeg-turbo does
_RGBI = 5  # NVJPEG_OUTPUT_RGBI: interleaved RGB in the first channel
_ALIGNED = 256


class _Image(ctypes.Structure):
    """`nvjpegImage_t`."""

    _fields_ = (("channel", ctypes.c_void_p * 4), ("pitch", ctypes.c_size_t * 4))


class _Group:
    """What is handed over for so many files, which the decoder's state is ready for."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.data = (ctypes.c_void_p * count)()
        self.lengths = (ctypes.c_size_t * count)()
        self.images = (_Image * count)()


class _Told:
    """Where nvJPEG writes its answers."""

    def __init__(self) -> None:
        self.cannot, self.width, self.height = ctypes.c_int(1), ctypes.c_uint(), ctypes.c_uint()  # it says 0 for yes
        self.cannot_at, self.width_at, self.height_at = map(ctypes.byref, (self.cannot, self.width, self.height))


class NvJpeg:
    """The decoder chip of the GPU that the calling thread uses; for one thread at a time.

    Decodes into one piece of memory that grows with the largest group. A group that holds a file which the chip does
    not take is looked at file by file.
    """

    def __init__(self, gpu: Gpu) -> None:
        """Make a decoder.

        Raises:
            MissingExtraError: nvJPEG is not installed.
            ImageError: this GPU has no decoder chip.
        """
        self._gpu = gpu
        self._nvjpeg = _library()
        self._handle, self._state, self._header = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        self._told = _Told()
        self._group: _Group | None = None
        self._memory: Memory | None = None
        status = self._nvjpeg.nvjpegCreateEx(_HARDWARE, None, None, _STRICT | _FANCY, ctypes.byref(self._handle))
        status = status or self._nvjpeg.nvjpegJpegStateCreate(self._handle, ctypes.byref(self._state))
        status = status or self._nvjpeg.nvjpegJpegStreamCreate(self._handle, ctypes.byref(self._header))
        if status:
            raise ImageError(
                f"{gpu.name} has no JPEG decoder chip that nvJPEG can use (status {status}).",
                "Decode on the CPU, as detrt does by itself.",
            )

    def __call__(self, files: Sequence[EncodedJpeg], stream: int) -> Sequence[DecodedJpeg | None]:
        """See `DecodesJpegs`."""
        sizes = [self._size(file) for file in files]
        taken = [(file, size) for file, size in zip(files, sizes, strict=True) if size]
        if not taken:
            return [None] * len(files)
        places = self._places([size for _, size in taken])
        if not self._decoded([file for file, _ in taken], places, stream):
            return [None] * len(files)  # one of them is damaged, and who asked will find out which
        found = iter(places)
        return [next(found) if size else None for size in sizes]

    def close(self) -> None:
        """See `DecodesJpegs`."""
        if not self._handle:
            return
        self._nvjpeg.nvjpegJpegStreamDestroy(self._header)
        self._nvjpeg.nvjpegJpegStateDestroy(self._state)
        self._nvjpeg.nvjpegDestroy(self._handle)
        self._handle = ctypes.c_void_p()
        if self._memory:
            self._memory.close()

    def _size(self, file: EncodedJpeg) -> tuple[int, int] | None:
        """Height and width of a file that the chip can decode: one sequential scan of a usual subsampling.

        As nvJPEG reads them: another's reading of a crafted file might give it too little memory.
        """
        nvjpeg, header, told = self._nvjpeg, self._header, self._told
        status = nvjpeg.nvjpegJpegStreamParseHeader(self._handle, *file, header)
        status = status or nvjpeg.nvjpegDecodeBatchedSupported(self._handle, header, told.cannot_at)
        if status or told.cannot.value:
            return None
        status = nvjpeg.nvjpegJpegStreamGetFrameDimensions(header, told.width_at, told.height_at)
        return None if status else (told.height.value, told.width.value)

    def _places(self, sizes: Sequence[tuple[int, int]]) -> list[DecodedJpeg]:
        starts, end = [], 0
        for height, width in sizes:
            starts.append(end)
            end += -(-3 * height * width // _ALIGNED) * _ALIGNED
        if self._memory is None or self._memory.nbytes < end:
            if self._memory:
                self._memory.close()
            self._memory = self._gpu.allocate(end * 5 // 4)
        base = self._memory.pointer
        return [DecodedJpeg(base + start, 3 * size[1], size) for start, size in zip(starts, sizes, strict=True)]

    def _decoded(self, files: Sequence[EncodedJpeg], places: Sequence[DecodedJpeg], stream: int) -> bool:
        if self._group is None or self._group.count != len(files):
            self._group = _Group(len(files))
            if self._nvjpeg.nvjpegDecodeBatchedInitialize(self._handle, self._state, len(files), 1, _RGBI):
                self._group = None
                return False
        group = self._group
        for number, (file, place) in enumerate(zip(files, places, strict=True)):
            image = group.images[number]
            image.channel[0], image.pitch[0] = place.pointer, place.pitch
            group.data[number], group.lengths[number] = file
        if self._nvjpeg.nvjpegDecodeBatched(self._handle, self._state, group.data, group.lengths, group.images, stream):
            self._group = None  # a state that failed has to begin anew
            return False
        return True

    def __enter__(self) -> NvJpeg:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _library() -> Any:
    """The library, from its wheel or the CUDA toolkit.

    Calls that take a microsecond keep the interpreter's lock: in a busy stream it is not to be had again at once.

    Raises:
        MissingExtraError: it is in neither.
    """
    pathfinder = require("cuda.pathfinder", extra="gpu", purpose="Decoding JPEGs on the GPU")
    try:
        path = pathfinder.load_nvidia_dynamic_lib("nvjpeg").abs_path
        library, brief = ctypes.CDLL(path), ctypes.PyDLL(path)
    except (pathfinder.DynamicLibNotFoundError, OSError) as error:
        raise MissingExtraError(
            f"Decoding JPEGs on the GPU needs nvJPEG, which cannot be loaded here ({str(error).splitlines()[0]}).",
            "Install it with: pip install 'detrt[gpu]'",
        ) from error
    handle, number, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
    library.nvjpegCreateEx.argtypes = [number, handle, handle, ctypes.c_uint, handle]
    library.nvjpegDestroy.argtypes = [handle]
    library.nvjpegJpegStateCreate.argtypes = library.nvjpegJpegStreamCreate.argtypes = [handle, handle]
    library.nvjpegJpegStateDestroy.argtypes = library.nvjpegJpegStreamDestroy.argtypes = [handle]
    for name, types in (
        ("nvjpegJpegStreamParseHeader", [handle, handle, size, handle]),
        ("nvjpegJpegStreamGetFrameDimensions", [handle, handle, handle]),
        ("nvjpegDecodeBatchedSupported", [handle, handle, handle]),
    ):
        function = getattr(brief, name)
        function.argtypes = types
        setattr(library, name, function)
    library.nvjpegDecodeBatchedInitialize.argtypes = [handle, handle, number, number, number]
    library.nvjpegDecodeBatched.argtypes = [handle, handle, handle, handle, handle, handle]
    return library
