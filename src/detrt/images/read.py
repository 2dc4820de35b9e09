"""One photo from its bytes: RGB, 8 bits, upright where people took it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from detrt.errors import ImageError
from detrt.files import name_of
from detrt.images.jpeg_segments import JpegHeader, header_of

Pixels = npt.NDArray[np.uint8]
"""(height, width, 3) uint8, RGB."""

MAX_PIXELS = 2 * (1 << 30) // 4 // 3
"""A larger photo is refused before it is decoded: Pillow's own limit, 179 megapixels, half a gigabyte of RGB."""

_ORIENTATION = 0x0112  # the EXIF tag
_SWAPPED = range(5, 9)  # of its values (EXIF 2.32, 4.6.5.1)
_JPEG_START = b"\xff\xd8\xff"


def read_photo(path: Path, *, upright: bool = True) -> Pixels:
    """Read and decode the photo at `path`; see `decode_photo`."""
    return decode_photo(read_bytes(path), name=name_of(path), upright=upright)


def read_bytes(path: Path) -> bytes:
    """The whole file.

    Raises:
        ImageError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(
            f"{name_of(path)} cannot be read: {error.strerror}.", "Check that it exists and may be read."
        ) from error


def decode_photo(data: bytes, *, name: str = "the photo", upright: bool = True) -> Pixels:
    """Decode a photo of any common format.

    Args:
        data: the whole file.
        name: what to call it in an error.
        upright: turn it as its EXIF orientation says. COCO's annotations are of the unturned pixels.

    Raises:
        ImageError: empty, cut off, of no known format, of numbers without a known white, or larger than `MAX_PIXELS`.
    """
    if not data:
        raise ImageError(f"{name} is empty.", "Copy it again; it has 0 bytes.")
    try:
        if jpeg_header(data, name=name, upright=upright):
            return decode_jpeg(data)
        return _any_format(data, name, upright)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(name, str(error).split(" exceeds", 1)[0]) from None
    except UnidentifiedImageError:
        start = data[:16].decode("ascii", "replace")
        raise ImageError(
            f"{name} is no image: its {len(data):,} bytes begin with {start!r}.",
            "Give a JPEG, PNG, WebP, BMP, GIF or TIFF file.",
        ) from None
    except Exception as error:  # decoders raise whatever the damage leads to
        raise ImageError(
            f"{name} cannot be decoded: {str(error).strip().rstrip('.') or type(error).__name__}.",
            "It is damaged or cut off; copy it again.",
        ) from error


def size_of(data: bytes) -> tuple[int, int] | None:
    """Height and width of what `decode_photo` gives unturned, from the header alone; None where that is damaged."""
    if data.startswith(_JPEG_START) and (header := header_of(data)):
        return header.size
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.height, image.width
    except Exception:  # whatever the damage leads to; `decode_photo` tells it
        return None


def lies_on_its_side(data: bytes) -> bool:
    """Whether its EXIF orientation swaps height and width; of a photo whose size is known."""
    return _orientation(data) in _SWAPPED


def jpeg_header(data: bytes, *, name: str = "the photo", upright: bool = True) -> JpegHeader | None:
    """The header of a JPEG that `decode_jpeg` can decode; None for anything else.

    Raises:
        ImageError: it is larger than `MAX_PIXELS`.
        ValueError: the header is damaged.
    """
    if not data.startswith(_JPEG_START):
        return None
    header = header_of(data) or _odd_header(data)
    if upright and header.exif and _orientation(data) != 1:
        return None
    _refuse_bomb(*header.size, name)
    return header if header.components in (1, 3) else None


def decode_jpeg(data: bytes, into: Pixels | None = None) -> Pixels:
    """Decode a JPEG by libjpeg-turbo straight to RGB, unturned, bit for bit what Pillow gives.

    Args:
        data: of which `jpeg_header` gave the size.
        into: (h, w, 3) uint8, contiguous, to decode into.

    Raises:
        ValueError: it is damaged or cut off.
    """
    pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB", buffer=into, strict=True)
    return pixels


def _odd_header(data: bytes) -> JpegHeader:
    """What libjpeg-turbo makes of a header that is damaged, or that it alone understands."""
    height, width, color, _ = simplejpeg.decode_jpeg_header(data)
    components = 3 if color in ("YCbCr", "Gray", "RGB") else 4
    return JpegHeader((height, width), components, sequential=False, exif=b"Exif\0\0" in data)


def _orientation(data: bytes) -> int:
    """What EXIF says of how the decoded pixels lie; 1 is upright."""
    with Image.open(io.BytesIO(data)) as image:
        return 1 if image.format == "TIFF" else int(image.getexif().get(_ORIENTATION, 1))  # Pillow turns TIFFs itself


def _any_format(data: bytes, name: str, upright: bool) -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        _refuse_bomb(*image.size, name)
        if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):  # PNM says what its white is
            kind = "floating-point" if image.mode == "F" else "signed or 32-bit"
            raise ImageError(
                f"{name} has {kind} pixels, of which nobody says what is white.", "Save it with 8 or 16 bits first."
            )
        image.load()
        turned = ImageOps.exif_transpose(image) if upright else image
        if turned.mode.startswith("I;16") or turned.mode == "I":
            grey = np.asarray(turned).astype(np.uint16) >> 8  # Pillow would clip 16 bits to 8, not scale them
            return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
        return np.asarray(turned.convert("RGB"))


def _refuse_bomb(side: int, other: int, name: str) -> None:
    if side * other > MAX_PIXELS:
        raise _too_large(name, f"Image size ({side * other} pixels)")


def _too_large(name: str, size: str) -> ImageError:
    limit = f"{MAX_PIXELS / 1e6:,.0f} megapixels"
    return ImageError(f"{name} is over the limit of {limit}: {size}.", "Scale it down or cut it into tiles first.")
