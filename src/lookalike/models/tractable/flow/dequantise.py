"""Discrete data made continuous, so that a density can be put on them, and what that costs.

Intensity k of K becomes a number in its own bin, and bins are stretched to the whole line:

    s = (k + u) / K,   u ~ q(u|x)           v = logit(alpha + (1 - 2 alpha) s)

    log p(k) = log E_q[ p_v(v) |dv/ds| / K / q(u|x) ]  >=  E_q[ log p_v(v) + log |dv/ds| - log K - log q(u|x) ]

A category has a bin as wide as its share of the training split, s = shares_<k + shares_k u, in the place of 1 / K, and
v = Phi^-1(s), which is then normal: a flow that has learnt nothing yet gives each category its share.

q is uniform on (0, 1), or a flow that is given x and is learnt with the model (variational dequantisation):
the nearer q(u|x) comes to p(u|x), the nearer is the bound. It starts as the uniform:

    u = Phi(w),   w = g(e; x),   e ~ N(0, I),   g = identity at first
    log q(u|x) = log N(e; 0, I) - log |det dw/de| - log N(w; 0, I)

A number on a grid, of which one value may be half of all rows, is spread over its cell, x + grid * (u - 1/2);
log p is then that of the density over the cell, in the user's units, and bounded likewise.

A number that may be missing needs a v in either case. Where it is missing, v = e = Phi^-1(u) is drawn and
p(missing) = E[p_v(missing, e) / N(e; 0, 1) / q(u|x)]; where it is there, v is the number. At u = 1/2 each index is
in the middle of its bin and each missing number at 0, so the way back, `inverse`, gives exactly the x that went in.

Theis et al. (2016), "A note on the evaluation of generative models", arXiv:1511.01844, section 3.1;
the logit of Dinh et al. (2017), arXiv:1605.08803, section 4.1; Ho et al. (2019), "Flow++", arXiv:1902.00275,
section 3.1, from which we differ in Phi, so that nothing is lost where there is nothing to learn.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....nn.doors import Door
from ....spec import Column, Spec
from .bijections import Bijection

ALPHA = 0.05  # the paper's: the darkest and the brightest bin stay short
EDGE = 1e-7  # of (0, 1): as near to its ends as float32 can tell


class Dequantise(nn.Module):
    """x in the user's units <-> v, real and without bounds.

    Attributes:
        shape: of one v: (C, H, W) for images; (number of fields,) for points and tables.
        exact: whether nothing is discrete or missing, so that log_prob is no bound.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.door = Door(spec)
        fields = self.door.fields
        self.shape: tuple[int, ...] = spec.shape if spec.kind == "images" else (len(fields),)
        self._reals = [d for d, field in enumerate(fields) if field.real]
        self._choices = [d for d, field in enumerate(fields) if not field.real]
        self._grid = [spec.columns[fields[d].column].grid for d in self._reals]
        shares = [_shares(spec.columns[fields[d].column], fields[d].width) for d in self._choices]
        self._shares = nn.utils.rnn.pad_sequence(shares, batch_first=True) if shares else torch.empty(0, 0)
        self._lows = self._shares.cumsum(1) - self._shares  # each (choices, most categories)
        certain = not any(self._grid) and all(field.real and field.gate < 0 for field in fields)
        self.exact = spec.kind != "images" and certain

    def forward(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """v, and what is to be added to log p_v(v) for log p(x) or its bound, but for log q(u|x).

        Arguments:
            x: in the user's units, shape (B, *spec.shape).
            u: in (0, 1), shape (B, *self.shape).

        Returns:
            v, shape (B, *self.shape); log_weight, shape (B,), nats.
        """
        if self.spec.kind == "images":
            k = (x * (self.spec.levels - 1)).round().to(u.dtype)
            v, log_weight = to_line(k, u, self.spec.levels)
            return v, log_weight.flatten(1).sum(1)
        v, log_weight = torch.zeros_like(u), torch.zeros_like(u)
        if self._reals:
            v[:, self._reals], log_weight[:, self._reals] = self._numbers(x, u[:, self._reals])
        if self._choices:
            v[:, self._choices], log_weight[:, self._choices] = self._categories(x, u[:, self._choices])
        return v, log_weight.sum(1)

    def _categories(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """v and log_weight of what is one of several, each (B, choices)."""
        k = x[:, [self.door.fields[d].column for d in self._choices]]
        k = torch.where(self._gates(x), k.isnan().to(k.dtype), k).long()
        low, share = (of.to(u)[torch.arange(len(self._choices)), k] for of in (self._lows, self._shares))
        v = torch.special.ndtri((low + share * u).clamp(EDGE, 1 - EDGE))
        return v, share.log() - log_normal(v)

    def _gates(self, x: Tensor) -> Tensor:
        """Which choices are whether a number is there, shape (choices,)."""
        columns = [self.spec.columns[self.door.fields[d].column] for d in self._choices]
        return torch.tensor([not column.categories for column in columns], device=x.device)

    def _numbers(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """v and log_weight of the numbers, each (B, numbers)."""
        fields = [self.door.fields[d] for d in self._reals]
        if any(self._grid):
            spread = x.new_tensor(self._grid) * (u - 0.5)
            x = x.index_add(1, torch.tensor([field.column for field in fields], device=x.device), spread.to(x.dtype))
        h = self.door.enter(x)
        v, log_weight = h[:, [field.start for field in fields]], self.door.log_slope(h, fields)
        if any(field.gate >= 0 for field in fields):
            # A number without a gate is compared with itself, and so is never missing.
            there = [field.gate if field.gate >= 0 else field.start for field in fields]
            gone = [field.gate + 1 if field.gate >= 0 else field.start for field in fields]
            void, e = h[:, gone] > h[:, there], torch.special.ndtri(u)
            v, log_weight = torch.where(void, e, v), torch.where(void, -log_normal(e), log_weight)
        return v, log_weight

    def inverse(self, v: Tensor) -> Tensor:
        """The x in whose bins v lies, in the user's units, shape (B, *spec.shape)."""
        if self.spec.kind == "images":
            return from_line(v, self.spec.levels) / (self.spec.levels - 1)
        h = v.new_zeros(len(v), *self.door.shape)
        for d, field in enumerate(self.door.fields):
            if field.real:
                h[:, field.start] = v[:, d]
            else:
                lows = self._lows[self._choices.index(d), 1 : field.width].to(v)
                k = torch.searchsorted(lows, torch.special.ndtr(v[:, d]).contiguous(), right=True)
                h[:, field.entries] = F.one_hot(k, field.width).to(v.dtype)
        return self.door.leave(h)


class Noise(nn.Module):
    """Draws u ~ q(u|x): uniform, or by a flow that is given x.

    Arguments:
        shape: of one u.
        bijection: g; None for uniform noise.
    """

    def __init__(self, shape: tuple[int, ...], door: Door, bijection: Bijection | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.door = door
        self.bijection = bijection

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """u in (0, 1), shape (B, *self.shape), off both ends by what float32 can tell; log q(u|x), shape (B,)."""
        like = x.new_empty(len(x), *self.shape, dtype=self.door.precision.dtype)
        if self.bijection is None:
            u = torch.rand_like(like)
            return u.clamp(1e-6, 1 - 1e-6), u.new_zeros(len(x))
        e = torch.randn_like(like)
        w, log_det = self.bijection(e, self.door.enter(x))
        log_q = (log_normal(e) - log_normal(w)).flatten(1).sum(1) - log_det
        return torch.special.ndtr(w).clamp(1e-6, 1 - 1e-6), log_q


def log_normal(z: Tensor) -> Tensor:
    """log N(z; 0, 1) of each entry."""
    return -0.5 * (z.square() + math.log(2 * math.pi))


def _shares(column: Column, width: int) -> Tensor:
    """Of each choice, shape (width,); a spec that does not say has them all alike."""
    return torch.tensor(column.shares or [1 / width] * width, dtype=torch.float64)


def to_line(k: Tensor, u: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """v of index k with noise u, and log(|dv/ds| / levels), both of the shape of u."""
    p = ALPHA + (1 - 2 * ALPHA) * (k + u) / levels
    log_p, log_q = p.log(), (-p).log1p()
    return log_p - log_q, math.log((1 - 2 * ALPHA) / levels) - log_p - log_q


def from_line(v: Tensor, levels: int) -> Tensor:
    """The index k in whose bin v lies, as a float; the end bins reach to infinity."""
    s = (v.sigmoid() - ALPHA) / (1 - 2 * ALPHA)
    return (s * levels).floor().clamp(0, levels - 1)
