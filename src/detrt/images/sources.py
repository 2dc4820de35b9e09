"""What people point at: files, folders, globs and videos, as items in a stable order."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, runtime_checkable

from detrt.errors import ImageError
from detrt.files import name_of
from detrt.images.read import Pixels, decode_photo, read_bytes, read_photo
from detrt.images.video import frames_of, video_info

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v"})


class Item(Protocol):
    """One image to come: its name now, its pixels when somebody asks."""

    @property
    def name(self) -> str: ...

    def pixels(self) -> Pixels:
        """Decode it, (h, w, 3) uint8 RGB; an `ImageError` where it cannot be."""
        ...


@runtime_checkable
class Encoded(Protocol):
    """An item that is a file's content, so that whoever can decode it faster than `pixels` does may.

    Attributes:
        upright: turn it as its EXIF orientation says.
    """

    @property
    def name(self) -> str: ...
    @property
    def upright(self) -> bool: ...

    def encoded(self) -> bytes:
        """The whole file; an `ImageError` where it cannot be read."""
        ...


@dataclass(frozen=True)
class Photo:
    """A photo in a file."""

    path: Path
    upright: bool = True

    @property
    def name(self) -> str:
        return name_of(self.path)

    def encoded(self) -> bytes:
        return read_bytes(self.path)

    def pixels(self) -> Pixels:
        return read_photo(self.path, upright=self.upright)


@dataclass(frozen=True, eq=False)
class PhotoBytes:
    """A photo's file in memory."""

    data: bytes
    name: str = "the photo"
    upright: bool = True

    def encoded(self) -> bytes:
        return self.data

    def pixels(self) -> Pixels:
        return decode_photo(self.data, name=self.name, upright=self.upright)


@dataclass(frozen=True, eq=False)
class PhotoPixels:
    """A photo that is decoded already, (h, w, 3) uint8 RGB."""

    image: Pixels
    name: str = "the photo"

    def pixels(self) -> Pixels:
        return self.image


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a video, decoded already, since a video cannot be decoded out of order."""

    path: Path
    index: int
    image: Pixels
    rate: Fraction

    @property
    def name(self) -> str:
        return f"{name_of(self.path)}#{self.index:06d}"

    def pixels(self) -> Pixels:
        return self.image


@dataclass(frozen=True, eq=False)
class Unreadable:
    """What is left of a video from its damage on."""

    name: str
    error: ImageError

    def pixels(self) -> Pixels:
        raise self.error


def find_files(sources: Sequence[str]) -> list[Path]:
    """The photo and video files that `sources` name: as given, each folder's and glob's in the order of names.

    A folder gives the files in it that have an image's or video's suffix, not those of its subfolders (`'dir/**/*.jpg'`
    does that). A file named outright is taken whatever it is called.

    Raises:
        ImageError: a source that does not exist, cannot be listed, or holds no image.
    """
    files: list[Path] = []
    for source in sources:
        found = _files_of(source)
        if not found:
            known = ", ".join(sorted(PHOTO_SUFFIXES | VIDEO_SUFFIXES))
            raise ImageError(f"There is no image in {source}.", f"Files with one of these suffixes count: {known}.")
        files += found
    return files


def open_items(files: Sequence[Path], *, upright: bool = True) -> Iterator[Item]:
    """The images of `files`, in order: a video's frames one by one, and its damage as an item that fails."""
    for file in files:
        if is_video(file):
            try:
                rate = video_info(file).rate
                for index, image in enumerate(frames_of(file)):
                    yield Frame(file, index, image, rate)
            except ImageError as error:
                yield Unreadable(name_of(file), error)
        else:
            yield Photo(file, upright)


def count_items(files: Sequence[Path]) -> int | None:
    """How many images `open_items` will give; None where a video does not say how long it is."""
    counts = [video_info(file).frames if is_video(file) else 1 for file in files]
    return None if None in counts else sum(count or 0 for count in counts)


def is_video(file: Path) -> bool:
    """Whether the suffix is a video's."""
    return file.suffix.lower() in VIDEO_SUFFIXES


def _files_of(source: str) -> list[Path]:
    path = Path(source).expanduser()
    try:
        if path.is_dir():
            suffixes = PHOTO_SUFFIXES | VIDEO_SUFFIXES
            return sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes and file.is_file())
        if path.exists():
            return [path]
    except OSError as error:
        raise ImageError(
            f"{source} cannot be listed: {error.strerror}.", "Check its permissions, or give another folder."
        ) from error
    if glob.has_magic(source):
        matches = (Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207 Path.glob takes no absolute one
        return sorted(match for match in matches if match.is_file())
    raise ImageError(f"There is nothing at {source}.", "Give photos, folders, globs in quotes, or videos.")
