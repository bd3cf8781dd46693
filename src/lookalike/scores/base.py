"""What a score is: fitted once on training items, then asked of any items.

A score says how odd an item is, in whatever unit; two of them are only comparable by how they spread over normal
items. A score that a model cannot give says why (`UnfitError`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from ..models.base import Model
from .seen import Seen


class UnfitError(Exception):
    """This score is not for this model; the words say why."""


class Score(ABC):
    """One way to say how odd items are: higher for what is less like the training items.

    Arguments:
        seen: what the scores of one model share.

    Raises:
        UnfitError: the model cannot give it.
    """

    summary: ClassVar[str]
    explains: ClassVar[bool] = False
    """Whether it tells what each pixel or column adds."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.model: Model = seen.model

    @property
    def quick(self) -> bool:
        """Whether it takes no more than some passes for each item."""
        return True

    def fit(self, x: Tensor) -> None:
        """Take what is needed of training items in the user's units, shape (N, *spec.shape), on any device."""
        return

    @abstractmethod
    def score(self, x: Tensor) -> Tensor:
        """How odd each item is, float64, shape (B,), on the CPU, of x in the user's units on the model's device."""

    def parts(self, x: Tensor) -> Tensor:
        """What each pixel or column adds to it, shape of x, on the CPU; of a score that `explains`."""
        raise NotImplementedError
