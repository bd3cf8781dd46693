"""Monotone maps of one number, of which each entry has its own by its params: what a coupling does to what it hides.

    additive    z = x + t                                            log |dz/dx| = 0
    affine      z = x * exp(s) + t                                   log |dz/dx| = s
    spline      z = a ratio of two parabolas in each of K bins of [-BOUND, BOUND], x beyond

A spline is given by the widths and heights of its bins and its slopes where they meet; with xi in [0, 1] the
place in its bin, rise the height over the width, and slopes d_0, d_1 at the ends,

    z = z_0 + height * (rise xi^2 + d_0 xi (1 - xi)) / (rise + (d_0 + d_1 - 2 rise) xi (1 - xi))

It inverts by the root of a parabola. All are the identity at params 0.

Dinh et al. (2015), "NICE", arXiv:1410.8516; Dinh et al. (2017), "Real NVP", arXiv:1605.08803; Durkan et al.
(2019), "Neural spline flows", arXiv:1906.04032, section 3.1 and appendix A. Differs: |s| stays under a bound,
approached smoothly, so that no layer can blow up its inverse.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

BOUND = 4.0
"""Where a spline ends and the identity begins: four deviations of what an ActNorm makes standard."""
LEAST = 1e-3
"""The least width, height and slope of a bin, the first two as a share of all."""
MOST_LOG_SCALE = 3.0

Map = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Of numbers, shape (B, *), and their params, shape (B, width, *): the numbers mapped, and log |slope|, each (B, *)."""


class Elementwise(NamedTuple):
    """A family of monotone maps, and their inverses, by `width` params an entry."""

    width: int
    forward: Map
    inverse: Map


def additive() -> Elementwise:
    """Shifts: of volume 1."""
    return Elementwise(
        1,
        lambda x, params: (x + params[:, 0], torch.zeros_like(x)),
        lambda z, params: (z - params[:, 0], torch.zeros_like(z)),
    )


def affine() -> Elementwise:
    """Scales and shifts."""

    def forward(x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        s, t = _bounded(params[:, 0]), params[:, 1]
        return x * s.exp() + t, s

    def inverse(z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        s, t = _bounded(params[:, 0]), params[:, 1]
        return (z - t) * (-s).exp(), -s

    return Elementwise(2, forward, inverse)


def _bounded(s: Tensor) -> Tensor:
    return MOST_LOG_SCALE * (s / MOST_LOG_SCALE).tanh()


def spline(bins: int = 8) -> Elementwise:
    """Rational-quadratic splines of so many bins."""

    def forward(x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        inside = x.abs() < BOUND
        z, log_slope = _spline(x.clamp(-BOUND, BOUND), params, bins)
        return torch.where(inside, z, x), torch.where(inside, log_slope, 0.0)

    def inverse(z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        inside = z.abs() < BOUND
        x, log_slope = _spline_inverse(z.clamp(-BOUND, BOUND), params, bins)
        return torch.where(inside, x, z), torch.where(inside, -log_slope, 0.0)

    return Elementwise(3 * bins - 1, forward, inverse)


class _Bin(NamedTuple):
    """The bins that numbers fall in: their lower corner, size and slopes at both ends, each of the numbers' shape."""

    x: Tensor
    z: Tensor
    width: Tensor
    height: Tensor
    d_0: Tensor
    d_1: Tensor

    def log_slope(self, xi: Tensor) -> Tensor:
        rise, between = self.height / self.width, xi * (1 - xi)
        above = rise.square() * (self.d_1 * xi.square() + 2 * rise * between + self.d_0 * (1 - xi).square())
        return above.log() - 2 * (rise + (self.d_0 + self.d_1 - 2 * rise) * between).log()


def _spline(x: Tensor, params: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    at = _find(x, params, bins, by="x")
    xi = ((x - at.x) / at.width).clamp(0, 1)
    rise, between = at.height / at.width, xi * (1 - xi)
    above = at.height * (rise * xi.square() + at.d_0 * between)
    return at.z + above / (rise + (at.d_0 + at.d_1 - 2 * rise) * between), at.log_slope(xi)


def _spline_inverse(z: Tensor, params: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    at = _find(z, params, bins, by="z")
    rise, up = at.height / at.width, z - at.z
    bend = at.d_0 + at.d_1 - 2 * rise
    a, b, c = at.height * (rise - at.d_0) + up * bend, at.height * at.d_0 - up * bend, -rise * up
    # The root that does not cancel; under it stands a square but for rounding.
    xi = (2 * c / (-b - (b.square() - 4 * a * c).clamp(min=1e-30).sqrt())).clamp(0, 1)
    return at.x + xi * at.width, at.log_slope(xi)


def _find(t: Tensor, params: Tensor, bins: int, by: Literal["x", "z"]) -> _Bin:
    """The bin in which t, an x or a z, lies; params (B, 3 bins - 1, *)."""
    widths, heights, slopes = params.movedim(1, -1).split((bins, bins, bins - 1), dim=-1)
    xs, zs = _knots(widths), _knots(heights)
    # At params 0 a slope is 1, as it is at both ends.
    slopes = LEAST + F.softplus(slopes + math.log(math.expm1(1 - LEAST)))
    slopes = F.pad(slopes, (1, 1), value=1.0)
    inner = (xs if by == "x" else zs)[..., 1:-1]
    i = (t[..., None] >= inner).sum(-1, keepdim=True)

    def ends(knots: Tensor) -> tuple[Tensor, Tensor]:
        return knots.gather(-1, i).squeeze(-1), knots.gather(-1, i + 1).squeeze(-1)

    (x_0, x_1), (z_0, z_1), (d_0, d_1) = ends(xs), ends(zs), ends(slopes)
    return _Bin(x_0, z_0, x_1 - x_0, z_1 - z_0, d_0, d_1)


def _knots(sizes: Tensor) -> Tensor:
    """Ends of bins of these logits, (*, K), from -BOUND to BOUND, (*, K + 1)."""
    shares = LEAST + (1 - LEAST * sizes.shape[-1]) * sizes.softmax(-1)
    inner = (2 * shares.cumsum(-1)[..., :-1] - 1) * BOUND
    return F.pad(F.pad(inner, (1, 0), value=-BOUND), (0, 1), value=BOUND)
