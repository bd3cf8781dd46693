"""What a score is: fitted once on training items, then asked of any items.

A score says how odd an item is, in whatever unit; two of them are only comparable by how they spread over normal
items. A score that a model cannot give says why (`UnfitError`).

Distances and errors are of intensities in [0, 1], or of rows in plain standard deviations and one-hot categories: by
rank, as a model may see a column, the farthest value there is lies no farther out than the second.
"""

from __future__ import annotations

import dataclasses
import functools
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from ..models.base import Model
from ..nn.doors import Door
from ..spec import Spec

if TYPE_CHECKING:
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


@functools.lru_cache(maxsize=8)
def _plain(spec: Spec) -> Door:
    """A door that takes columns as they are, not by rank."""
    columns = tuple(dataclasses.replace(column, knots=(), grid=0.0) for column in spec.columns)
    return Door(dataclasses.replace(spec, columns=columns)).double()


def view(spec: Spec, x: Tensor) -> Tensor:
    """Items as distances between them are measured, float64, (B, D), the fields of the door's h; see above."""
    return x.flatten(1).double() if spec.kind == "images" else _plain(spec).enter(x)


def by_column(spec: Spec, parts: Tensor) -> Tensor:
    """What was measured of each number of a view, (B, D), summed by column, (B, columns); images as they are."""
    if spec.kind == "images":
        return parts.unflatten(1, spec.shape)
    fields = _plain(spec).fields
    owner = torch.tensor([field.column for field in fields for _ in range(field.width)], device=parts.device)
    return parts.new_zeros(len(parts), len(spec.columns)).index_add(1, owner, parts)
