"""What a score is: fitted once on training items, then asked of any items.

A score says how odd an item is, in whatever unit; two of them are only comparable by how they spread over normal
items. A score that a model cannot give says why (`UnfitError`).

Distances and errors are of intensities in [0, 1], or of rows with each number in plain standard deviations: by rank, as
a model may see a column, the farthest value there is lies no farther out than the second. The entries of one-hot
categories are in deviations too, at least `LEAST`; a word never seen is as far from all others as the rarest. A column
that was constant is in units of its value.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from ..models.base import Model
from ..nn.doors import Door, Field
from ..spec import Column, Spec

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


LEAST = 0.03
"""Deviation of a one-hot entry, sqrt(p (1 - p)), from which on a rarer word counts no more."""


class _Plain:
    """How rows are seen: a door that takes columns as they are, not by rank, and what its numbers are divided by."""

    def __init__(self, spec: Spec) -> None:
        columns = tuple(_varying(dataclasses.replace(column, knots=(), grid=0.0)) for column in spec.columns)
        self.door = Door(dataclasses.replace(spec, columns=columns)).double()
        self.scale = torch.ones(self.door.shape, dtype=torch.float64)
        self.words = [field for field in self.door.fields if not field.real and columns[field.column].categories]
        for field in self.door.fields:
            shares = torch.tensor(columns[field.column].shares, dtype=torch.float64)
            if not field.real and len(shares) == field.width:
                self.scale[field.entries] = (shares * (1 - shares)).sqrt().clamp(min=LEAST)

    def __call__(self, x: Tensor) -> Tensor:
        h: Tensor = self.door.enter(x) / self.scale.to(x.device)
        for field in self.words:
            strange = x[:, field.column] < 0
            h[:, field.entries] += strange[:, None] / (LEAST * math.sqrt(field.width))
        return h


def _varying(column: Column) -> Column:
    """A column that was constant as one that need not be."""
    if len(column.categories) == 1:
        return dataclasses.replace(column, categories=(*column.categories, ""), shares=())
    return column if column.categories or column.std > 0 else dataclasses.replace(column, std=abs(column.mean) or 1.0)


@functools.lru_cache(maxsize=8)
def _plain(spec: Spec) -> _Plain:
    return _Plain(spec)


def view(spec: Spec, x: Tensor) -> Tensor:
    """Items as distances between them are measured, float64, (B, D); see above."""
    return x.flatten(1).double() if spec.kind == "images" else _plain(spec)(x)


def fields_of(spec: Spec) -> tuple[Field, ...]:
    """What the entries of a view stand for; () of images."""
    return () if spec.kind == "images" else _plain(spec).door.fields


def by_column(spec: Spec, parts: Tensor) -> Tensor:
    """What was measured of each number of a view, (B, D), summed by column, (B, columns); images as they are."""
    if spec.kind == "images":
        return parts.unflatten(1, spec.shape)
    owner = torch.tensor([field.column for field in fields_of(spec) for _ in range(field.width)], device=parts.device)
    return parts.new_zeros(len(parts), len(spec.columns)).index_add(1, owner, parts)
