"""Discrete data made continuous, so that a density can be put on them, and what that costs.

Index k of K becomes a number in its own bin, and bins are stretched to the whole line:

    s = (k + u) / K,   u ~ U(0, 1)          v = logit(alpha + (1 - 2 alpha) s)

    log p(k) = log E_u[ p_v(v) |dv/ds| / K ]  >=  E_u[ log p_v(v) + log |dv/ds| - log K ]      (Jensen)

A number that may be missing needs a v in either case. Where it is missing, v = e ~ N(0, 1) = q(e) is
drawn and p(missing) = E_q[p_v(missing, e) / q(e)] is bounded by E_q[log p_v(missing, e) - log q(e)] in
the same way; where it is there, v is the number. All draws are made from uniforms u, which may be given:
at u = 1/2 each index is in the middle of its bin and each missing number at 0, so the way back,
`inverse`, gives exactly the x that went in.

Theis et al. (2016), "A note on the evaluation of generative models", arXiv:1511.01844, section 3.1;
the logit of Dinh et al. (2017), arXiv:1605.08803, section 4.1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....nn.doors import Door, missing
from ....spec import Spec

ALPHA_IMAGES = 0.05  # the paper's: the darkest and the brightest bin stay short
ALPHA_TABLES = 1e-3


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
        self.exact = spec.kind != "images" and all(field.real and field.gate < 0 for field in fields)

    def forward(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """v, and what is to be added to log p_v(v) for log p(x) or its bound.

        Arguments:
            x: in the user's units, shape (B, *spec.shape).
            u: in (0, 1), shape (B, *self.shape).

        Returns:
            v, shape (B, *self.shape); log_weight, shape (B,), nats.
        """
        if self.spec.kind == "images":
            k = (x * (self.spec.levels - 1)).round()
            v, log_weight = to_line(k, u, self.spec.levels, ALPHA_IMAGES)
            return v, log_weight.flatten(1).sum(1)
        h = self.door.enter(x)
        v, log_weight = torch.empty_like(u), torch.zeros_like(u)
        for d, field in enumerate(self.door.fields):
            if not field.real:
                k = h[:, field.entries].argmax(1)
                v[:, d], log_weight[:, d] = to_line(k, u[:, d], field.width, ALPHA_TABLES)
                continue
            v[:, d], log_weight[:, d] = h[:, field.start], self.door.log_scale(field)
            if field.gate >= 0:
                void = missing(h, field)
                e = torch.special.ndtri(u[:, d])
                minus_log_q = 0.5 * (e.square() + math.log(2 * math.pi))
                v[:, d] = torch.where(void, e, v[:, d])
                log_weight[:, d] = torch.where(void, minus_log_q, log_weight[:, d])
        return v, log_weight.sum(1)

    def inverse(self, v: Tensor) -> Tensor:
        """The x in whose bins v lies, in the user's units, shape (B, *spec.shape)."""
        if self.spec.kind == "images":
            return from_line(v, self.spec.levels, ALPHA_IMAGES) / (self.spec.levels - 1)
        h = v.new_zeros(len(v), *self.door.shape)
        for d, field in enumerate(self.door.fields):
            if field.real:
                h[:, field.start] = v[:, d]
            else:
                k = from_line(v[:, d], field.width, ALPHA_TABLES).long()
                h[:, field.entries] = F.one_hot(k, field.width).to(v.dtype)
        return self.door.leave(h)


def to_line(k: Tensor, u: Tensor, levels: int, alpha: float) -> tuple[Tensor, Tensor]:
    """v of index k with noise u, and log(|dv/ds| / levels), both of the shape of u."""
    p = alpha + (1 - 2 * alpha) * (k + u) / levels
    log_p, log_q = p.log(), (-p).log1p()
    return log_p - log_q, math.log((1 - 2 * alpha) / levels) - log_p - log_q


def from_line(v: Tensor, levels: int, alpha: float) -> Tensor:
    """The index k in whose bin v lies, as a float; the end bins reach to infinity."""
    s = (v.sigmoid() - alpha) / (1 - 2 * alpha)
    return (s * levels).floor().clamp(0, levels - 1)
