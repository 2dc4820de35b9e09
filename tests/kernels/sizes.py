"""How many images and queries a random case has."""

from __future__ import annotations

import random

ENDS = ((33, 1000), (1, 1), (33, 1), (1, 1000))


def batch_and_queries(seed: int, draw: random.Random) -> tuple[int, int]:
    """Batch 1 to 33 and queries 1 to 1000, small ones as often as large ones; the first seeds have the ends."""
    drawn = round(33 ** draw.random()), round(1000 ** draw.random())
    return ENDS[seed] if seed < len(ENDS) else drawn
