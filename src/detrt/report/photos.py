"""Photos with what two models found in them, side by side: pictures and boxes that the page holds itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from detrt.compare.detections import THRESHOLD, Comparing
from detrt.compare.matching import match
from detrt.detections import Detections
from detrt.images.read import read_photo

SIDE = 640  # pixels of a photo's longer side in the page
ORDINARY = 3
LINE, LETTER = 28.0, 14.0  # height of a caption's line, width of a letter: report.css has its size on a phone
_QUALITY = 80


@dataclass(frozen=True)
class Box:
    """A box in pixels of the picture, what it is, and whether the other model lacks it.

    Attributes:
        caption_x, caption_y: left end of the caption's baseline: in the box's corner, but within the picture and clear
            of the other captions.
    """

    x: float
    y: float
    width: float
    height: float
    caption: str
    caption_x: float
    caption_y: float
    hue: int
    alone: bool


@dataclass(frozen=True)
class Sample:
    """A photo and what both models found in it.

    Attributes:
        name: of the file.
        about: why it was chosen.
        width, height: that it is shown at; what boxes are measured in. The longer is `SIDE`.
        jpeg: the picture, base64.
        sides: the boxes of the reference and of the other model.
    """

    name: str
    about: str
    width: int
    height: int
    jpeg: str
    sides: tuple[tuple[Box, ...], tuple[Box, ...]]


def samples_of(
    reference: Mapping[str, Detections], other: Mapping[str, Detections], images: Path, class_names: Sequence[str]
) -> list[Sample]:
    """Some ordinary photos, and the one that differs most.

    Args:
        reference: detections by the photo's file name.
        other: the other model's.
        images: the folder of the photos; those that are not there are passed over.
        class_names: by label.
    """
    comparing = Comparing()
    rated = [comparing.add(name, found, other[name]) for name, found in reference.items() if (images / name).is_file()]
    busy = [photo for photo in rated if 3 <= photo.counted <= 9] or [photo for photo in rated if photo.counted]
    if not busy:
        return []
    worst = min(busy, key=lambda photo: photo.closeness)
    rest = [photo for photo in busy if photo is not worst]
    step = max(1, len(rest) // ORDINARY)
    chosen = [(photo.name, f"closeness {photo.closeness:.3f}") for photo in rest[step // 2 :: step][:ORDINARY]]
    chosen.append((worst.name, f"differs most of those with 3 to 9 objects: closeness {worst.closeness:.3f}"))
    return [_sample(name, about, images, reference[name], other[name], class_names) for name, about in chosen]


def _sample(
    name: str, about: str, images: Path, first: Detections, second: Detections, class_names: Sequence[str]
) -> Sample:
    pixels = read_photo(images / name, upright=False)
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    picture.save(data, format="JPEG", quality=_QUALITY)
    scale = SIDE / max(pixels.shape[:2])
    height, width = (round(scale * side) for side in pixels.shape[:2])
    pairs = match(first, second)
    sides = (
        _boxes(first, set(pairs.first.tolist()), scale, width, class_names),
        _boxes(second, set(pairs.second.tolist()), scale, width, class_names),
    )
    jpeg = base64.b64encode(data.getvalue()).decode()
    return Sample(name, about, width, height, jpeg, sides)


def _boxes(
    own: Detections, partners: Collection[int], scale: float, width: int, class_names: Sequence[str]
) -> tuple[Box, ...]:
    """What counts of a model's detections, faintest first, so that the best lie on top."""
    boxes: list[Box] = []
    for row in range(int((own.scores >= THRESHOLD).sum())):
        label = int(own.labels[row])
        x1, y1, x2, y2 = (scale * float(value) for value in own.boxes[row])
        name = class_names[label] if label < len(class_names) else f"class {label}"
        caption = f"{name} {float(own.scores[row]):.2f}"
        x = max(2.0, min(x1 + 5, width - LETTER * len(caption)))
        y = _free(x, max(y1, 0.0) + LINE, len(caption), boxes)
        boxes.append(Box(x1, y1, x2 - x1, y2 - y1, caption, x, y, label * 47 % 360, row not in partners))
    return tuple(reversed(boxes))


def _free(x: float, y: float, letters: int, boxes: Sequence[Box]) -> float:
    """The first baseline from `y` down at which a caption covers none of those that are placed."""
    for box in sorted(boxes, key=lambda box: box.caption_y):
        beside = x > box.caption_x + LETTER * len(box.caption) or box.caption_x > x + LETTER * letters
        if not beside and abs(y - box.caption_y) < LINE:
            y = box.caption_y + LINE
    return y
