"""Items as distances between them are measured: not as a model sees them.

Distances and errors are of intensities in [0, 1], or of rows with each number in plain standard deviations: by rank, as
a model may see a column, the farthest value there is lies no farther out than the second. The entries of one-hot
categories are in deviations too, at least `LEAST`; a word never seen is as far from all others as the rarest, and so
is another value in a column that was constant.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import torch
from torch import Tensor

from ..nn.doors import Door, Field
from ..spec import Column, Spec

LEAST = 0.03
"""Deviation of a one-hot entry, sqrt(p (1 - p)), from which on a rarer word counts no more."""


class _Plain:
    """How rows are seen: a door that takes columns as they are, not by rank, and what its numbers are divided by."""

    def __init__(self, spec: Spec) -> None:
        columns = tuple(_varying(dataclasses.replace(column, knots=(), grid=0.0)) for column in spec.columns)
        self.door = Door(dataclasses.replace(spec, columns=columns)).double()
        self.scale = torch.ones(self.door.shape, dtype=torch.float64)
        self.words = [field for field in self.door.fields if not field.real and columns[field.column].categories]
        self.fixed = [field for field in self.door.fields if field.real and spec.columns[field.column].std == 0]
        for field in self.door.fields:
            shares = torch.tensor(columns[field.column].shares, dtype=torch.float64)
            if not field.real and len(shares) == field.width:
                self.scale[field.entries] = (shares * (1 - shares)).sqrt().clamp(min=LEAST)

    def __call__(self, x: Tensor) -> Tensor:
        h: Tensor = self.door.enter(x) / self.scale.to(x.device)
        for field in self.words:
            strange = x[:, field.column] < 0
            h[:, field.entries] += strange[:, None] / (LEAST * math.sqrt(field.width))
        for field in self.fixed:
            h[:, field.entries] = (h[:, field.entries] != 0) / LEAST
        return h


def _varying(column: Column) -> Column:
    """A column that was constant as one that need not be."""
    if len(column.categories) == 1:
        return dataclasses.replace(column, categories=(*column.categories, ""), shares=())
    return column if column.categories or column.std > 0 else dataclasses.replace(column, std=1.0)


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
