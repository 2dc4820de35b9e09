"""The ten kinds of shapes, as outlines: closed polygons in about -1..1, y downwards; a second one is a hole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]  # (P, 2), x and y
Outline = list[Points]
Rng = np.random.Generator

STEPS = 48  # corners of what is round


def outline(label: int, rng: Rng) -> Outline:
    """A shape of class `label`: proportions vary, and it is turned and stretched at random."""
    shape = _DRAW[CLASSES[label]](rng)
    stretch = np.diag([1.0, rng.uniform(0.7, 1.0)])
    turn = turned(rng.uniform(0, 2 * np.pi)) @ stretch @ turned(rng.uniform(0, 2 * np.pi))
    return [points @ turn.T for points in shape]


def blob(rng: Rng) -> Outline:
    """Something of no class: a closed curve with dents."""
    angle = _angles(STEPS)
    waves = sum(rng.uniform(0.1, 0.3) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in (2, 3, 5))
    return [_around(angle, 0.65 * (1 + waves))]


def turned(angle: float) -> Points:
    """The matrix that turns by `angle`."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _disc(_: Rng) -> Outline:
    return [_around(_angles(STEPS), 1)]


def _ring(rng: Rng) -> Outline:
    return [*_disc(rng), _around(_angles(STEPS), rng.uniform(0.5, 0.7))]


def _triangle(_: Rng) -> Outline:
    return [_around(_angles(3), 1)]


def _square(_: Rng) -> Outline:
    return [_around(_angles(4), 1)]


def _star(rng: Rng) -> Outline:
    return [_around(_angles(10), np.where(np.arange(10) % 2, rng.uniform(0.38, 0.46), 1))]


def _cross(rng: Rng) -> Outline:
    arm = rng.uniform(0.24, 0.36)
    quarter = np.array([[arm, 1], [-arm, 1], [-arm, arm]])
    return [np.concatenate([quarter @ turned(k * np.pi / 2).T for k in range(4)])]


def _arrow(rng: Rng) -> Outline:
    neck, shaft = rng.uniform(-0.1, 0.2), rng.uniform(0.18, 0.28)
    half = np.array([[1, 0], [neck, 0.7], [neck, shaft], [-1, shaft]])
    return [_mirrored(half)]


def _heart(_: Rng) -> Outline:
    t = _angles(STEPS)
    wide = 16 * np.sin(t) ** 3
    high = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return [np.stack([wide, -high - 2.5], axis=1) / 17]


def _moon(rng: Rng) -> Outline:
    """What a second circle, moved aside, leaves of the first."""
    tip, bulge = rng.uniform(0.9, 1.2), rng.uniform(0.25, 0.45)
    outer = np.linspace(tip, 2 * np.pi - tip, STEPS)
    back = np.linspace(-1, 1, STEPS // 2)[1:-1]
    inner = np.stack([np.cos(tip) - bulge * 1.2 * (1 - back**2), np.sin(tip) * back], axis=1)
    return [np.concatenate([_around(outer, 1), inner])]


def _bolt(rng: Rng) -> Outline:
    step = rng.uniform(0.08, 0.18)
    half = np.array([[0.35, -1], [-0.5, step], [-0.08, step]])
    return [np.concatenate([half, -half])]


_DRAW: dict[str, Callable[[Rng], Outline]] = {
    "disc": _disc,
    "ring": _ring,
    "triangle": _triangle,
    "square": _square,
    "star": _star,
    "cross": _cross,
    "arrow": _arrow,
    "heart": _heart,
    "moon": _moon,
    "bolt": _bolt,
}
CLASSES: tuple[str, ...] = tuple(_DRAW)
"""Names by label."""


def _angles(count: int) -> Points:
    angles: Points = np.arange(count, dtype=np.float64) * (2 * np.pi / count)
    return angles


def _around(angle: Points, radius: float | Points) -> Points:
    points: Points = np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.reshape(radius, (-1, 1))
    return points


def _mirrored(half: Points) -> Points:
    return np.concatenate([half, half[::-1] * [1, -1]])


def bounds(points: Sequence[Points]) -> tuple[Points, Points]:
    """Least and greatest x and y of an outline."""
    outer = points[0]
    return outer.min(0), outer.max(0)
