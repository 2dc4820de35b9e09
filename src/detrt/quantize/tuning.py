"""Ranges tensor by tensor: where the recipe's way of choosing them moves the detections, the others are tried.

No way is the best for every tensor. A percentile cuts the few high values by which a late feature map says that there
is an object; the maximum leaves a tensor with outliers a handful of codes for all the rest. What a range does to the
detections decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from detrt.graph.products import Product
from detrt.progress import Progress, silent
from detrt.quantize.measure import Losses
from detrt.quantize.quantizer import Settings
from detrt.quantize.sensitivity import PartLoss

TRIED = 20
"""Parts that others are tried for: those that move the detections most."""

GAIN = 0.8
"""Another way is taken where it leaves no more than this share of the change; less may be luck."""


def alternatives(settings: Settings) -> tuple[Settings, ...]:
    """The other ways of choosing ranges. FP8's steps grow with the value, so only its own two differ."""
    ways: tuple[tuple[str, float], ...] = (("max", 100.0), ("percentile", 99.999), ("percentile", 99.9), ("mse", 100.0))
    if settings.precision == "fp8":
        ways = (("percentile", 99.99), ("mse", 100.0))
    return tuple(
        replace(settings, ranges=way, linear_ranges=way, percentile=share)  # type: ignore[arg-type]
        for way, share in ways
    )


def tune_ranges(
    alone: Sequence[PartLoss],
    products: Sequence[Product],
    settings: Settings,
    losses_of: Callable[[Settings], Losses],
    photos: int,
    *,
    progress: Progress = silent,
) -> tuple[dict[str, Settings], tuple[PartLoss, ...]]:
    """Try other ranges for the inputs of the parts that cost most, each part alone.

    Args:
        alone: what each part costs with the ranges of `settings`.
        products: of the model.
        settings: the recipe's.
        losses_of: losses under other settings.
        photos: calibration photos to measure on.
        progress: told of every part.

    Returns:
        choices: the settings to choose a tensor's range by, where they are not the recipe's.
        alone: the parts with what they cost now.
    """
    read = {product.key: product.activations for product in products}
    others = [(way, losses_of(way)) for way in alternatives(settings)]
    costliest = sorted(alone, key=lambda found: (-found.loss.change, found.part.name))[:TRIED]
    choices: dict[str, Settings] = {}
    better: dict[str, PartLoss] = {}
    for number, found in enumerate(costliest, start=1):
        tensors = {name for key in found.part.keys for name in read[key]}
        if not tensors & choices.keys():  # a tensor that two parts read has been decided by the costlier
            loss, way = min(
                ((losses.of(found.part.keys, photos), way) for way, losses in others), key=lambda pair: pair[0].change
            )
            if loss.change <= GAIN * found.loss.change:
                choices |= dict.fromkeys(tensors, way)
                better[found.part.name] = replace(found, loss=loss)
        progress("Trying other ranges", number, len(costliest))
    return choices, tuple(better.get(found.part.name, found) for found in alone)
