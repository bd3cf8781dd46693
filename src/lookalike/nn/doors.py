"""The door of a model: from the user's units to numbers a network likes, and back.

    images          x in [0, 1]                  <->  h = 2 x - 1 in [-1, 1], same shape
    a number        x                            <->  h = (x - mean) / std
    a number that   x, or NaN                    <->  one-hot (there, missing), then h as above
      may be missing                                  (0 where missing)
    a category      index k of K                 <->  one-hot of width K
    a constant      x = mean, std 0; or K = 1    <->  nothing

The widths of the fields of h, and which real field is void when which one-hot field says "missing",
are all a likelihood or a discriminator needs to know of a table.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..spec import Spec


class Field(NamedTuple):
    """A run of entries of h that stand for one fact: a real number (width 1) or a one-hot (width >= 2).

    Arguments:
        start, width: the field is h[:, start : start + width].
        column: its column of x.
        gate: for a real number, the start of the one-hot (there, missing) that voids it; -1 for none.
    """

    start: int
    width: int
    column: int
    gate: int = -1

    @property
    def real(self) -> bool:
        return self.width == 1

    @property
    def entries(self) -> slice:
        return slice(self.start, self.start + self.width)


class Door(nn.Module):
    """Between the user's units x, shape (B, *spec.shape), and a network's h, shape (B, *self.shape).

    Attributes:
        shape: of one h: (C, H, W) for images, (D,) for points and tables.
        fields: of h, in the order of the columns, a gate right before its number; () for images.
    """

    precision: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        # Empty: h is given in its precision, which `model.double()` changes with the weights'.
        self.register_buffer("precision", torch.empty(0), persistent=False)
        fields: list[Field] = []
        width = 0
        for i, column in enumerate(spec.columns):
            gate = -1
            if column.missing:
                gate = width
                fields.append(Field(width, 2, i))
                width += 2
            if len(column.categories) != 1 and column.std > 0:  # else it is known in advance: nothing to model
                fields.append(Field(width, max(1, len(column.categories)), i, gate))
                width += fields[-1].width
        self.fields = tuple(fields)
        self.shape: tuple[int, ...] = spec.shape if spec.kind == "images" else (width,)
        self._mean = [c.mean for c in spec.columns]
        self._std = [c.std for c in spec.columns]
        # Points and plain tables are one affine map; only gates and categories need a field at a time.
        self._affine = all(field.real and field.gate < 0 for field in fields) and width == len(spec.columns)

    def log_scale(self, field: Field) -> float:
        """log |dh/dx| of a real field: log p(x) = log p(h) + log_scale, summed over the fields there."""
        return -math.log(self._std[field.column])

    def enter(self, x: Tensor) -> Tensor:
        """h of x, shape (B, *self.shape), in the precision of the model's weights."""
        if self.spec.kind == "images":
            return x.to(self.precision.dtype) * 2 - 1
        # In the precision of x first: a date in seconds less its mean loses minutes in float32.
        standard = (x - x.new_tensor(self._mean)) / x.new_tensor(self._std)
        if not self._affine:
            parts = [self._enter_field(field, x, standard) for field in self.fields]
            standard = torch.cat(parts, dim=1) if parts else standard[:, :0]
        return standard.to(self.precision.dtype)

    def leave(self, h: Tensor) -> Tensor:
        """x of h: the inverse of `enter`; of a one-hot field the largest entry counts."""
        if self.spec.kind == "images":
            return ((h + 1) / 2).clamp(0, 1)
        h = h.to(torch.float32 if h.device.type == "mps" else torch.float64)
        if self._affine:
            return h * h.new_tensor(self._std) + h.new_tensor(self._mean)
        x = h.new_tensor(self._mean).repeat(len(h), 1)
        for field in self.fields:
            value, i = h[:, field.entries], field.column
            if field.real:
                x[:, i] = x[:, i] + value[:, 0] * self._std[i]  # NaN stays NaN
            elif self.spec.columns[i].missing:
                x[:, i] = x[:, i].masked_fill(value[:, 1] > value[:, 0], math.nan)
            else:
                x[:, i] = value.argmax(1).to(h.dtype)
        return x

    def _enter_field(self, field: Field, x: Tensor, standard: Tensor) -> Tensor:
        if field.real:
            return standard[:, field.column, None].nan_to_num(0.0)
        value = x[:, field.column]
        index = value.isnan().long() if self.spec.columns[field.column].missing else value.long()
        return F.one_hot(index, field.width).to(x.dtype)


def missing(h: Tensor, field: Field) -> Tensor:
    """Which rows of h lack the number of a gated real field, bool, shape (B,)."""
    return h[:, field.gate + 1] > h[:, field.gate]
