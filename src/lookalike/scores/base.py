"""What a score is: fitted once on training items, then asked of any items.

A score says how odd an item is to a model, in whatever unit; two of them are only comparable by rank. A score that a
model cannot give says why (`UnfitError`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from ..models.base import Model, seeded
from ..nn.memory import items_at_once, onto


class UnfitError(Exception):
    """This score is not for this model; the words say why."""


class Score(ABC):
    """One way to say how odd items are: higher for what is less like the training items.

    Arguments:
        model: trained, in eval mode.
        seed: of whatever is drawn.

    Raises:
        UnfitError: the model cannot give it.
    """

    summary: ClassVar[str]
    quick: ClassVar[bool] = True
    """Whether it takes no more than some passes for each item."""

    def __init__(self, model: Model, seed: int = 0) -> None:
        self.model = model
        self.seed = seed

    def fit(self, x: Tensor) -> None:
        """Take what is needed of training items in the user's units, shape (N, *spec.shape), on any device."""
        return

    @abstractmethod
    def score(self, x: Tensor) -> Tensor:
        """How odd each item is, float64, shape (B,), of x in the user's units on the model's device."""

    def parts(self, x: Tensor) -> Tensor | None:
        """What each pixel or column adds to it, shape of x; None of a score that is of the whole item only."""
        return None

    def chunked(self, x: Tensor, of: Callable[[Tensor], Tensor]) -> Tensor:
        """`of` of x, some items at a time on the model's device, on the CPU."""
        parts, device = x.split(items_at_once(self.model.spec.dims)), self.model.device
        with torch.inference_mode(), seeded(self.seed, device):
            return torch.cat([of(onto(part, device)).cpu() for part in parts])


def view(model: Model, x: Tensor) -> Tensor:
    """Items as distances between them are measured, (B, D): intensities, or rows as the door has them."""
    return (x if model.spec.kind == "images" else model.door.enter(x)).flatten(1).double()


def by_column(model: Model, parts: Tensor) -> Tensor:
    """What was measured of each number of the door, (B, D), summed by column, (B, columns); images as they are."""
    if model.spec.kind == "images":
        return parts.unflatten(1, model.spec.shape)
    owner = torch.tensor([field.column for field in model.door.fields for _ in range(field.width)], device=parts.device)
    return parts.new_zeros(len(parts), len(model.spec.columns)).index_add(1, owner, parts)
