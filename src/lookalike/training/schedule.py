"""How far a training is, by steps or by the clock, and what its rates are multiplied by there.

rate = min(1, (step + 1) / (warmup + 1)) * (1 + cos(pi done)) / 2         or without the cosine
"""

from __future__ import annotations

import math

from ..data.base import Data, steps_per_epoch
from ..recipe import Training

MILESTONES = 20  # times a training is examined and saved


class Schedule:
    """How far a training is, and what the rates are multiplied by there."""

    def __init__(self, numbers: Training, per_epoch: int) -> None:
        self.numbers = numbers
        self.steps = None if numbers.minutes else numbers.steps
        if numbers.epochs and not numbers.minutes:
            self.steps = max(1, math.ceil(numbers.epochs * per_epoch))

    def done(self, step: int, seconds: float) -> float:
        """The share that is done, 1 at the end: by steps, or by the clock where minutes were given."""
        if self.steps is None:
            return seconds / (60 * (self.numbers.minutes or 0))
        return step / self.steps

    def rate(self, step: int, done: float) -> float:
        """Linear warm-up, then a cosine to zero at the end (or constant)."""
        rise = min(1.0, (step + 1) / (self.numbers.warmup + 1))
        return rise * (0.5 * (1 + math.cos(math.pi * done)) if self.numbers.schedule == "cosine" else 1.0)


def between_milestones(numbers: Training, data: Data) -> int | None:
    """Items that are trained on between two milestones; None where the clock decides."""
    steps = Schedule(numbers, steps_per_epoch(len(data.train), numbers.batch_size)).steps
    return None if steps is None else steps * numbers.batch_size // MILESTONES
