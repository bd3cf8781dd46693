"""What is missing of v given the rest, drawn by Langevin steps that are accepted or refused so as to be exact.

    v' = v + step / 2 * grad log p(v) + sqrt(step) * e,   e ~ N(0, I),        where v is free
    accepted with probability  min(1, p(v') q(v|v') / (p(v) q(v'|v)))

Its stationary distribution is p(v_free | v_known). Each item has its own step, set while it walks so that about
57 % are accepted, and held in the last half. At a temperature T it draws from p^(1/T^2), a Gaussian's spread
times T; at T = 0 it climbs to a mode.

Roberts & Tweedie (1996), "Exponential convergence of Langevin distributions and their discrete approximations";
the rate of acceptance is that of Roberts & Rosenthal (1998), section 2.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

STEPS = 400
ACCEPTED = 0.574
LEARNT = 0.15
"""How fast the logarithm of a step follows what is accepted."""


def langevin(log_prob: Callable[[Tensor], Tensor], start: Tensor, free: Tensor, temperature: float = 1.0) -> Tensor:
    """v of the density exp(log_prob(v)), shape (B,), drawn where it is free, shape of start.

    Arguments:
        start: v, shape (B, *); what is not free stays as it is here.
        free: True where v may change, shape of start.
    """
    coldness = 1 / max(temperature, 1e-3) ** 2

    def look(v: Tensor) -> tuple[Tensor, Tensor]:
        """coldness * log p(v), shape (B,), and its gradient where v is free."""
        v = v.detach().requires_grad_()
        with torch.enable_grad():
            value = coldness * log_prob(v)
            (gradient,) = torch.autograd.grad(value.sum(), v)
        return value.detach(), (gradient * free).nan_to_num(0.0)

    def towards(v: Tensor, gradient: Tensor, step: Tensor, there: Tensor) -> Tensor:
        """log q(there | v), but for what cancels."""
        return -((there - v - step / 2 * gradient) * free).square().flatten(1).sum(1) / (2 * step.flatten())

    v = start
    value, gradient = look(v)
    wide = (len(v), *[1] * (v.dim() - 1))
    log_step = v.new_full(wide, -3.0) - torch.tensor(coldness).log()
    for n in range(STEPS):
        step = log_step.exp()
        proposed = v + (step / 2 * gradient + step.sqrt() * torch.randn_like(v)) * free
        its_value, its_gradient = look(proposed)
        back = towards(proposed, its_gradient, step, v) - towards(v, gradient, step, proposed)
        log_odds = (its_value - value + back).nan_to_num(-torch.inf)
        accepted = torch.rand_like(log_odds).log() < log_odds
        at = accepted.view(wide)
        v, gradient = torch.where(at, proposed, v), torch.where(at, its_gradient, gradient)
        value = torch.where(accepted, its_value, value)
        if n < STEPS // 2:
            log_step = log_step + LEARNT * (at.to(v.dtype) - ACCEPTED)
    return v
