"""What a loss of agreement with the float model costs in AP, told without labels.

The float model's detections are wrong themselves, and quantisation moves them in directions that have nothing to do
with these errors. So both add as independent errors do, in quadrature: small changes are as often for the better as for
the worse, and only their square counts. How wrong the float model is cannot be seen without labels; how far it
disagrees with itself on the same photo in a mirror can, and is of the same kind.

Measured on DEIMv2-femto and -atto (`docs/quantisation.md`): AP over 535 labelled photos falls by 0.2 to 0.3 for each
point by which `sqrt(doubt^2 + points^2)` exceeds `doubt`, from 6 to 60 points lost, in every recipe. INT8 near the
float model is dearer, since it loses some objects whole where FP8 moves every box a little.
"""

from __future__ import annotations

import math

from detrt.quantize.formats import Precision

AP_PER_POINT: dict[Precision, float] = {"int8": 0.65, "fp8": 0.3}
"""On the safe side of what was measured at the losses that a search allows; AP over 535 photos is uncertain by 0.2."""


def ap_drop(points: float, doubt: float, rate: float) -> float:
    """The AP to expect to lose.

    Args:
        points: of agreement with the float model that are lost (0..100).
        doubt: points that the float model itself loses to its own mirror image; see `Reference.doubt`.
        rate: AP a point of what comes on top of the doubt; `AP_PER_POINT`, or `measured_rate`.
    """
    return rate * (math.hypot(doubt, points) - doubt)


def allowed_points(drop: float, doubt: float, rate: float) -> float:
    """Points of agreement that may be lost for an AP that falls by `drop`: the inverse of `ap_drop`."""
    further = drop / rate
    return math.sqrt(further * (2 * doubt + further))


def measured_rate(drop: float, points: float, doubt: float) -> float:
    """The rate at which `points` cost `drop`, where labels have told."""
    return drop / max(math.hypot(doubt, points) - doubt, 1e-9)
