"""Muon: each weight matrix is moved by its momentum made orthogonal; whatever is no matrix by Adam.

    m = mu m + (1 - mu) g,     u = mu m + (1 - mu) g                       Nesterov's momentum
    u = U V^T, nearly, of its singular value decomposition U S V^T         five steps of Newton and Schulz
    w = w - sqrt(max(rows, columns)) lr u                                  by lr in the root mean square

A gradient is mostly a few directions; orthogonal, all directions are learnt at the same pace. A filter is a matrix of
one row for each feature it makes. A step is as long as Adam's first ones, so that Adam's rates will do.

Jordan et al. (2024), "Muon: an optimizer for hidden layers in neural networks". The root is of Liu et al. (2025),
"Muon is scalable for LLM training", arXiv:2502.16982, eq. 4; they take a fifth of it, as far as Adam moves late in long
trainings, which here learns later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
ROUNDS = 5
QUINTIC = (3.4445, -4.7750, 2.0315)  # a s + b s^3 + c s^5 takes every s in (0, 1] near 1 within the rounds
LEAST = 8  # sides up to this are of inputs and outputs, not of what is hidden


class Muon(torch.optim.AdamW):
    """AdamW, but for weights of two or more dimensions with both sides larger than `LEAST`."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Move the matrices, all of a shape at once, then leave the rest to Adam."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None and (shape := matrix(p)) is not None:
                    alike[shape].append(p)
            for shape, weights in alike.items():
                self._move(weights, shape, group["lr"], group["weight_decay"])
        return super().step(closure)

    def _move(self, weights: list[Tensor], shape: tuple[int, int], lr: float, weight_decay: float) -> None:
        gradients = [p.grad for p in weights if p.grad is not None]
        for p in weights:
            p.grad = None  # so that Adam passes by
            if not self.state[p]:  # Adam, when it is loaded, wants a step of everyone
                self.state[p].update(momentum=torch.zeros_like(p), step=torch.zeros(()))
        momenta = [self.state[p]["momentum"] for p in weights]
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        ahead = torch._foreach_lerp(gradients, momenta, MOMENTUM)
        moves = orthogonal(torch.stack([u.reshape(shape) for u in ahead]))
        torch._foreach_mul_(weights, 1 - lr * weight_decay)
        for p, move in zip(weights, moves, strict=True):
            p.sub_(move.view_as(p), alpha=lr * max(shape) ** 0.5)


def matrix(p: Tensor) -> tuple[int, int] | None:
    """Rows and columns of a weight as a matrix; None where it is none, or of inputs or outputs alone."""
    if p.dim() < 2 or p.numel() == 0:
        return None
    rows, columns = p.shape[0], p[0].numel()
    return (rows, columns) if min(rows, columns) > LEAST else None


def orthogonal(u: Tensor) -> Tensor:
    """Matrices (N, rows, columns) with all singular values near 1 (0.7 to 1.2), and the same singular vectors."""
    a, b, c = QUINTIC
    tall = u.shape[1] > u.shape[2]
    u = u.mT if tall else u
    u = u / torch.linalg.matrix_norm(u, keepdim=True).clamp(min=1e-12)
    for _ in range(ROUNDS):
        square = u @ u.mT
        u = a * u + (b * square + c * square @ square) @ u
    return u.mT if tall else u
