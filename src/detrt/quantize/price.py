"""What a loss of agreement with the float model costs in AP, told without labels.

The float model's detections are wrong themselves, and quantisation moves them in directions that have nothing to do
with these errors. So both add as independent errors do, in quadrature: small changes are as often for the better as for
the worse, and only their square counts. How wrong the float model is cannot be seen without labels; how far it
disagrees with itself on the same photo in a mirror can, and is of the same kind.

Measured on DEIMv2-femto and -atto (`docs/quantisation.md`): AP over 535 labelled photos falls by 0.2 to 0.3 for each
point by which `sqrt(doubt^2 + points^2)` exceeds `doubt`, from 5 to 60 points lost, in every recipe. Of fifteen results
of searches near a target, none lost more than 0.6 a point.
"""

from __future__ import annotations

import math

AP_PER_POINT = 0.65
"""What a result may be relied on not to exceed. Its mean is half of that; the rest is what AP over some five hundred
photos is uncertain by, which a target of some tenths must leave room for if it is to hold on other photos."""

RATE_SPREAD = 0.35
"""Standard deviation of the logarithm of the rates that results of searches showed."""

AP_NOISE = 0.15
"""Standard error of a difference of AP over some five hundred photos."""


def ap_drop(points: float, doubt: float, rate: float) -> float:
    """The AP that is lost at such a rate.

    Args:
        points: of agreement with the float model that are lost (0..100).
        doubt: points that the float model itself loses to its own mirror image; see `Reference.doubt`.
        rate: AP a point of what comes on top of the doubt; `AP_PER_POINT`, or `revised_rate`.
    """
    return rate * (math.hypot(doubt, points) - doubt)


def allowed_points(drop: float, doubt: float, rate: float) -> float:
    """Points of agreement that may be lost for an AP that falls by `drop`: the inverse of `ap_drop`."""
    further = drop / rate
    return math.sqrt(further * (2 * doubt + further))


def revised_rate(rate: float, drop: float, points: float, doubt: float) -> float:
    """The rate to believe in when labelled photos show that `points` cost `drop`: between what was thought and that.

    Both are uncertain, the one by `RATE_SPREAD` and the other by `AP_NOISE`, and their logarithms are averaged by the
    inverse of their variances. So a surprise of some tenths is believed in part, one of several AP wholly.
    """
    measured = drop / max(math.hypot(doubt, points) - doubt, 1e-9)
    thought, shown = RATE_SPREAD**2, (AP_NOISE / max(drop, 1e-9)) ** 2
    return math.exp((math.log(rate) * shown + math.log(max(measured, 1e-9)) * thought) / (thought + shown))
