"""What became of one image of a stream."""

from __future__ import annotations

from dataclasses import dataclass

from detrt.detections import Detections
from detrt.errors import DetrtError, NonFiniteError
from detrt.images.read import Pixels
from detrt.images.sources import Item


@dataclass(frozen=True)
class Outcome:
    """What became of one item: detections, or the error that names why there are none.

    Attributes:
        size: height and width of the photo, where it could be decoded.
        pixels: the photo, where the stream was asked to keep it.
    """

    item: Item
    size: tuple[int, int] | None = None
    pixels: Pixels | None = None
    detections: Detections | None = None
    error: DetrtError | None = None


def outcome_of(item: Item, size: tuple[int, int], pixels: Pixels | None, detections: Detections) -> Outcome:
    """What became of an item that went through the network: an error where that gave NaN or infinity."""
    if detections.is_finite():
        return Outcome(item, size, pixels, detections)
    return Outcome(item, size, pixels, error=_non_finite(item, detections))


def _non_finite(item: Item, detections: Detections) -> NonFiniteError:
    bad = sum(not row.is_finite() for row in (detections.select([i]) for i in range(len(detections))))
    return NonFiniteError(
        f"The model gave NaN or infinity in {bad} of {len(detections)} detections of {item.name}.",
        "Its numbers overflow: build it with --precision fp32, or look for the layer with a full-precision copy.",
    )
