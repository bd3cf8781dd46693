"""Bounds: E[L_1] <= E[L_k], rising with k, and never above log p(x) where that is known.

    L_k = E log 1/k sum_i w_i,        w_i = p(x, z_i) / q(z_i | x),      L_1 the ELBO

Burda et al. (2016), arXiv:1509.00519, theorem 1.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from ..models.approximate.vae.linear import closed_form
from ..models.base import Bounded, Coded, seeded
from .base import Finding, Subject, UnfitError

REPEATS = {1: 96, 4: 48, 16: 16, 64: 8}
"""How often each L_k is drawn."""
SPREADS = 5.0
"""Standard errors that a difference may lie on the wrong side."""


def bounds(subject: Subject) -> Finding:
    """By how many standard errors the bound falls from one k to the next, or lies above the truth."""
    model = subject.model  # in its own precision: rounding is far below the noise
    if not isinstance(model, Bounded) or model.exact or isinstance(model, Coded):
        raise UnfitError(f"{type(model).__name__} has no bound that more samples would tighten")
    x, y = subject.x[:4], None if subject.y is None else subject.y[:4]
    with torch.inference_mode(), seeded(subject.seed, x.device):
        means = [_repeats(model, x, y, k) for k in REPEATS]
    falls = [_above(low, high) for low, high in itertools.combinations(means, 2)]
    told = ", ".join(f"L_{k} {mean.mean():.4g}" for k, mean in zip(REPEATS, means, strict=True))
    exact = getattr(model, "exact_log_prob", closed_form(model))  # where the integral over z has a closed form
    if exact is not None:
        with torch.inference_mode():
            truth = exact(x).mean()
        falls.append(_above(means[-1], truth.expand(2)))
        told += f", log p(x) {truth:.4g}"
    return Finding(max(0.0, *falls), SPREADS, f"standard errors by which it falls: {told} nats")


def _repeats(model: Bounded, x: Tensor, y: Tensor | None, k: int) -> Tensor:
    """The bound in the mean over the items, several times, shape (repeats,)."""
    return torch.stack([model.log_prob(x, y, samples=k).double().mean() for _ in range(REPEATS[k])])


def _above(a: Tensor, b: Tensor) -> float:
    """By how many standard errors the mean of a lies above that of b."""
    difference = (a.mean() - b.mean()).item()
    error = (a.var() / len(a) + b.var() / len(b)).sqrt().item()
    return difference / max(error, 1e-9 * (1 + abs(difference)))
