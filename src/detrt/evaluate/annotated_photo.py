"""A photo of the set as a pipeline item: turned as its boxes are."""

from __future__ import annotations

from detrt.errors import DatasetError
from detrt.evaluate.dataset import CocoPhoto
from detrt.files import name_of
from detrt.images.read import Pixels, decode_photo, lies_on_its_side, read_bytes, size_of


class AnnotatedPhoto:
    """COCO's boxes are of the pixels as they are stored; those of tools that show a photo upright, of the turned ones.

    Attributes:
        upright: turn it as its EXIF orientation says; known from `encoded` on.
    """

    def __init__(self, photo: CocoPhoto) -> None:
        self._photo = photo
        self.name = name_of(photo.path)
        self.upright = False

    def encoded(self) -> bytes:
        """The whole file.

        Raises:
            ImageError: it cannot be read.
            DatasetError: its pixels are not those that were annotated.
        """
        data = read_bytes(self._photo.path)
        self.upright = self._turned(data)
        return data

    def pixels(self) -> Pixels:
        """Decode it; raises as `encoded` does, and where it is damaged."""
        data = self.encoded()
        return decode_photo(data, name=self.name, upright=self.upright)

    def _turned(self, data: bytes) -> bool:
        """Whether only the turned photo has the size that the annotations say."""
        annotated, stored = self._photo.size, size_of(data)
        if annotated is None or stored is None or stored == annotated:
            return False
        if stored[::-1] == annotated and lies_on_its_side(data):
            return True
        raise DatasetError(
            f"{self.name} is {stored[1]} pixels wide and {stored[0]} high, but its annotations are of a photo that is "
            f"{annotated[1]} wide and {annotated[0]} high.",
            "Give the photos that were annotated, or mend width and height of the image in the JSON.",
        )
