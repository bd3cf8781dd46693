"""The door of a model: from the user's units to numbers a network likes, and back.

    images          x in [0, 1]                  <->  h = 2 x - 1 in [-1, 1], same shape
    a number        x                            <->  h = (x - mean) / std
      with knots    x                            <->  h, straight from one knot (x, h) to the next
    a number that   x, or NaN                    <->  one-hot (there, missing), then h as above
      may be missing                                  (0 where missing)
    a category      index k of K, -1 for none    <->  one-hot of width K, all 0 for none
    a constant      x = mean, std 0; or K = 1    <->  nothing

Knots are for numbers with long tails or with one value in many rows, which standardising would leave as a few
far points and a spike: they make the training split normal, and their slope is counted in the density.

The widths of the fields of h, and which real field is void when which one-hot field says "missing",
are all a likelihood or a discriminator needs to know of a table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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


class Bends:
    """The straight pieces between the knots of several columns, and on beyond the last: x <-> w, (B, columns)."""

    def __init__(self, knots: Sequence[Sequence[tuple[float, float]]]) -> None:
        most = max(map(len, knots))
        # As many for each: further ones on the last piece's line change nothing.
        even = [[*pairs, *_beyond(pairs, most - len(pairs))] for pairs in knots]
        self.x, self.w = torch.tensor(even, dtype=torch.float64).unbind(2)  # each (columns, knots)

    def enter(self, x: Tensor) -> Tensor:
        return _pieces(x, self.x, self.w)

    def leave(self, w: Tensor) -> Tensor:
        return _pieces(w, self.w, self.x)

    def log_slope(self, w: Tensor) -> Tensor:
        """log |dw/dx| at w."""
        slopes = (self.w.diff() / self.x.diff()).log().to(w)
        return slopes.gather(1, _piece(w, self.w)).T


def _beyond(knots: Sequence[tuple[float, float]], n: int) -> list[tuple[float, float]]:
    (x_0, w_0), (x_1, w_1) = knots[-2:]
    return [(x_1 + k * (x_1 - x_0), w_1 + k * (w_1 - w_0)) for k in range(1, n + 1)]


def _piece(t: Tensor, knots: Tensor) -> Tensor:
    """Between which knots each t, (B, columns), lies, or nearest to which piece, (columns, B)."""
    inner = knots[:, 1:-1].to(t).contiguous()
    return torch.searchsorted(inner, t.detach().T.contiguous())


def _pieces(t: Tensor, here: Tensor, there: Tensor) -> Tensor:
    piece, here, there = _piece(t, here), here.to(t), there.to(t)
    slope = (there.diff() / here.diff()).gather(1, piece)
    return (there.gather(1, piece) + slope * (t.T - here.gather(1, piece))).T


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
        self._bent = [i for i, c in enumerate(spec.columns) if c.knots]
        self._bends = Bends([spec.columns[i].knots for i in self._bent]) if self._bent else None
        for i in self._bent:  # the knots standardise too
            self._mean[i], self._std[i] = 0.0, 1.0
        self._gridded = [i for i, c in enumerate(spec.columns) if c.grid and c.knots]
        ends = [(c.grid, c.origin, c.knots[0][0], c.knots[-1][0]) for c in (spec.columns[i] for i in self._gridded)]
        self._grids = tuple(zip(*ends, strict=True))
        # Points and plain tables are one map; only gates and categories need a field at a time.
        self._plain = all(field.real and field.gate < 0 for field in fields) and width == len(spec.columns)

    def log_slope(self, h: Tensor, fields: Sequence[Field]) -> Tensor:
        """log |dh/dx| of real fields at h, shape (B, fields): log p(x) = log p(h) + log_slope, where it is there."""
        slope = h.new_tensor([-math.log(self._std[field.column]) for field in fields]).repeat(len(h), 1)
        if self._bends is not None:
            start = {field.column: field.start for field in self.fields if field.real}
            bent = self._bends.log_slope(h[:, [start[i] for i in self._bent]])
            at = {i: n for n, i in enumerate(self._bent)}
            chosen = [(n, at[field.column]) for n, field in enumerate(fields) if field.column in at]
            slope[:, [n for n, _ in chosen]] = bent[:, [m for _, m in chosen]]
        return slope

    def enter(self, x: Tensor) -> Tensor:
        """h of x, shape (B, *self.shape), in the precision of the model's weights."""
        if self.spec.kind == "images":
            return x.to(self.precision.dtype) * 2 - 1
        # In the precision of x first: a date in seconds less its mean loses minutes in float32.
        standard = (self._bend(x) - x.new_tensor(self._mean)) / x.new_tensor(self._std)
        if not self._plain:
            parts = [self._enter_field(field, x, standard) for field in self.fields]
            standard = torch.cat(parts, dim=1) if parts else standard[:, :0]
        return standard.to(self.precision.dtype)

    def leave(self, h: Tensor) -> Tensor:
        """x of h: the inverse of `enter`; of a one-hot field the largest entry counts, on a grid the nearest value."""
        if self.spec.kind == "images":
            return ((h + 1) / 2).clamp(0, 1)
        h = h.to(torch.float32 if h.device.type == "mps" else torch.float64)
        if self._plain:
            return self._unbend(h * h.new_tensor(self._std) + h.new_tensor(self._mean))
        x = h.new_tensor(self._mean).repeat(len(h), 1)
        for field in self.fields:
            value, i = h[:, field.entries], field.column
            if field.real:
                x[:, i] = x[:, i] + value[:, 0] * self._std[i]  # NaN stays NaN
            elif self.spec.columns[i].missing:
                x[:, i] = x[:, i].masked_fill(value[:, 1] > value[:, 0], math.nan)
            else:
                x[:, i] = value.argmax(1).to(h.dtype)
        return self._unbend(x)

    def on_levels(self, x: Tensor) -> Tensor:
        """Images at the nearest of their levels."""
        return (x * (self.spec.levels - 1)).round() / (self.spec.levels - 1)

    def _bend(self, x: Tensor) -> Tensor:
        """x with the columns that have knots as their knots have them."""
        if self._bends is None:
            return x
        index = torch.tensor(self._bent, device=x.device)
        return x.index_copy(1, index, self._bends.enter(x[:, index]))

    def _unbend(self, w: Tensor) -> Tensor:
        """x of that, on the grid where there is one, in the range of what was seen: its end cells reach to infinity."""
        if self._bends is None:
            return w
        index = torch.tensor(self._bent, device=w.device)
        x = w.index_copy(1, index, self._bends.leave(w[:, index]))
        if not self._gridded:
            return x
        index = torch.tensor(self._gridded, device=w.device)
        grid, origin, low, high = (x.new_tensor(of) for of in self._grids)
        cell = ((x[:, index].clamp(low, high) - origin) / grid).round()
        # The ends are edges of cells, which may round either way.
        most, least = ((high - origin) / grid - 0.25).round(), ((low - origin) / grid + 0.25).round()
        return x.index_copy(1, index, origin + cell.clamp(least, most) * grid)

    def _enter_field(self, field: Field, x: Tensor, standard: Tensor) -> Tensor:
        if field.real:
            return standard[:, field.column, None].nan_to_num(0.0)
        value = x[:, field.column]
        index = value.isnan().long() if self.spec.columns[field.column].missing else value.long()
        # A word that was never seen, -1, is none of those that were.
        return F.one_hot(index.clamp(min=0), field.width).to(x.dtype) * (index >= 0)[:, None]


def missing(h: Tensor, field: Field) -> Tensor:
    """Which rows of h lack the number of a gated real field, bool, shape (B,)."""
    return h[:, field.gate + 1] > h[:, field.gate]
