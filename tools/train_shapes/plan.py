"""How long, how fast, how hard: the settings of a training, and what they are at a given time of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

EASY = 0.05  # difficulty that training starts with


@dataclass(frozen=True)
class Plan:
    """Settings. Time rules, not steps: however fast the machine is, the learning rate has come down at the end.

    Attributes:
        minutes: of training, over all calls.
        rate: the highest learning rate.
        batch: pictures a step.
        warmup: share of the time in which the rate rises.
        hold: share of the time until it begins to fall.
        ramp: share of the time until pictures are as hard as those of the validation set.
        decay: AdamW's weight decay.
        clip: greatest norm of the gradient.
        memory: of the average of weights that is kept: about so many steps.
    """

    minutes: float
    rate: float = 1e-3
    batch: int = 64
    warmup: float = 0.03
    hold: float = 0.45
    ramp: float = 0.3
    decay: float = 0.02
    clip: float = 1.0
    memory: int = 600

    def rate_at(self, done: float) -> float:
        """The learning rate when the share `done` of the time has gone: up, flat, then down along a cosine."""
        if done < self.warmup:
            return self.rate * max(done / self.warmup, 0.01)
        fallen = max(0.0, min(1.0, (done - self.hold) / (1 - self.hold)))
        return self.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * fallen)))

    def difficulty_at(self, done: float) -> float:
        """What to draw (see `scenes.scene`)."""
        return min(1.0, EASY + (1 - EASY) * done / self.ramp)

    def averaging_at(self, step: int) -> float:
        """The part of the average that stays at this step; little at first, when weights change much."""
        return min(1 - 1 / self.memory, (1 + step) / (10 + step))
