"""Where outcomes go: a line of JSON an image, annotated pictures and videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

import orjson
from PIL import Image

from detrt.errors import UsageError
from detrt.files import naming, refuse_to_replace, whole
from detrt.images.draw import draw
from detrt.images.sources import Frame, is_video
from detrt.images.video import VideoWriter
from detrt.pipeline import Outcome


class Sink(Protocol):
    """Takes every outcome as soon as it is there, so that an interrupt loses nothing.

    Attributes:
        needs_pixels: whether it wants the photos with the outcomes.
    """

    @property
    def needs_pixels(self) -> bool: ...

    def add(self, outcome: Outcome) -> None: ...

    def __enter__(self) -> Sink: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class JsonLines:
    """A line an image: its name, width, height and detections; or its name and the error."""

    needs_pixels = False

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        self._path, self._names = path, class_names

    def __enter__(self) -> JsonLines:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = self._path.open("wb")
        except OSError as error:
            raise UsageError(
                f"{self._path} cannot be written: {error.strerror}.", "Give another --json FILE."
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with naming(self._path):
            self._file.close()

    def add(self, outcome: Outcome) -> None:
        """Write the line and flush it."""
        with naming(self._path):
            self._file.write(orjson.dumps(json_row(outcome, self._names)) + b"\n")
            self._file.flush()


def json_row(outcome: Outcome, class_names: Sequence[str] = ()) -> dict[str, Any]:
    """One image's result, as every detrt program writes it."""
    row: dict[str, Any] = {"image": outcome.item.name}
    if outcome.error or outcome.detections is None or outcome.size is None:
        return row | {"error": str(outcome.error)}
    height, width = outcome.size
    return row | {"width": width, "height": height, "detections": outcome.detections.to_json(class_names)}


PHOTO, VIDEO = ".jpg", ".mp4"  # what annotated copies are


def keep_originals(files: Sequence[Path], folder: Path) -> None:
    """Fail where an annotated copy in `folder` would take the place of one of the `files` to draw on.

    Raises:
        UsageError: names the first one.
    """
    for file in files:
        refuse_to_replace([file], folder / (file.stem + (VIDEO if is_video(file) else PHOTO)))


class Pictures:
    """Annotated copies: photos as JPEG, the frames of a video as a video, all in one folder.

    An interrupted video has the frames until then.
    """

    needs_pixels = True

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._names = folder, class_names
        self._taken: set[str] = set()
        self._video: tuple[Path, VideoWriter] | None = None
        self._open = ExitStack()

    def __enter__(self) -> Pictures:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self._folder} cannot be made: {error.strerror}.", "Give another --save DIR.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_video()

    def add(self, outcome: Outcome) -> None:
        """Draw and write the image; one without a result leaves no picture."""
        if outcome.pixels is None or outcome.detections is None:
            return
        picture = draw(outcome.pixels, outcome.detections, self._names)
        if isinstance(outcome.item, Frame):
            self._writer(outcome.item).add(picture)
            return
        self._end_video()
        with whole(self._folder / self._free(Path(outcome.item.name).stem, PHOTO)) as part:
            Image.fromarray(picture).save(part, "JPEG", quality=92)

    def _writer(self, frame: Frame) -> VideoWriter:
        if self._video is None or self._video[0] != frame.path:
            self._end_video()
            target = self._folder / self._free(frame.path.stem, VIDEO)
            self._video = frame.path, self._open.enter_context(_written(target, frame))
        return self._video[1]

    def _end_video(self) -> None:
        self._video = None
        self._open.close()

    def _free(self, stem: str, suffix: str) -> str:
        """A name that no other image of this run has: two folders may hold a photo of the same name."""
        name, number = stem + suffix, 2
        while name in self._taken:
            name, number = f"{stem}-{number}{suffix}", number + 1
        self._taken.add(name)
        return name


@contextmanager
def _written(target: Path, first: Frame) -> Iterator[VideoWriter]:
    """A video of frames like the `first`, which is there once the block ends."""
    with whole(target) as part:
        writer = VideoWriter(part, first.image.shape[:2], first.rate)
        yield writer
        writer.close()
