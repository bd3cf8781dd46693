"""Linear VAE: probabilistic PCA, whose exact answer is known.

    p(x|z) = N(x; W z + b, sigma^2 I)                 q(z|x) = N(z; M h + c, diag exp(log_var))

The best ELBO is the exact log p(x) of probabilistic PCA (Tipping & Bishop 1999), reached where the columns of W are
the leading principal axes, orthogonal, for then the exact posterior has a diagonal covariance as q has; and the ELBO
adds no local maxima to those of log p(x).

Lucas et al. (2019), "Don't blame the ELBO! A linear VAE perspective on posterior collapse", arXiv:1911.02469,
theorem 1.
Differs from the paper: images are discrete, so theirs is the normal density over the bin of each intensity; the
categories of a table have logits linear in z.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn

from ....nn.rows import CEILING, Columns
from ....nn.rows import likelihood as likelihood_of
from ....options import Range
from ....spec import Spec
from ...base import Model
from .bound import Objective
from .builders import Shape, assembled
from .vae import VAE


def linear_vae(spec: Spec, *, latent: Annotated[int, Range(1)] = 2) -> VAE:
    """A VAE of one linear layer each way, with one learned scale for all numbers.

    Arguments:
        latent: numbers in the code.
    """
    p_x = likelihood_of(spec, "gaussian")

    def decode(code: Shape, params: Shape) -> nn.Module:
        if isinstance(p_x, Columns):
            return LinearDecoder(code[0], p_x)
        return nn.Sequential(nn.Linear(code[0], math.prod(params)), nn.Unflatten(1, params))

    return assembled(spec, p_x, latent, Objective(), False, LinearEncoder, decode)


def closed_form(model: Model) -> Callable[[Tensor], Tensor] | None:
    """log p(x) itself, nats, shape (B,), of a linear VAE of numbers that are all there; None of any other model.

    With h the numbers of the door:  log p(x) = log N(h; b, W W' + sigma^2 I) + log |dh/dx|,  Tipping & Bishop 1999
    """
    if not isinstance(model, VAE) or not isinstance(model.decoder, LinearDecoder):
        return None
    likelihood, fields = model.likelihood, model.door.fields
    if not isinstance(likelihood, Columns) or not all(field.real and field.gate < 0 for field in fields):
        return None
    linear, log_scale = model.decoder.linear, model.decoder.log_scale.clamp(likelihood.floor, CEILING)
    means = torch.arange(len(fields)) * 3 + 1  # of the params of a number: a logit, its mean, its log scale

    def log_prob(x: Tensor) -> Tensor:
        W, b = linear.weight[means], linear.bias[means]
        covariance = W @ W.T + (2 * log_scale).exp() * torch.eye(len(b), dtype=W.dtype, device=W.device)
        h = model.door.enter(x)
        normal = torch.distributions.MultivariateNormal(b, covariance).log_prob(h)
        return normal + model.door.log_slope(h, list(fields)).sum(1)

    return log_prob


class LinearEncoder(nn.Module):
    """(B, *shape) -> mean, linear in h, and log variance, the same for all: (B, 2 * latent)."""

    def __init__(self, shape: Shape, code: Shape) -> None:
        super().__init__()
        self.mean = nn.Linear(math.prod(shape), code[0] // 2)
        self.log_var = nn.Parameter(torch.zeros(code[0] // 2))

    def forward(self, h: Tensor) -> Tensor:
        mean = self.mean(h.flatten(1))
        return torch.cat([mean, self.log_var.expand_as(mean)], dim=1)


class LinearDecoder(nn.Module):
    """(B, latent) -> params of a row, linear in z, but for the log scales of its numbers: those are one parameter."""

    is_scale: Tensor

    def __init__(self, latent: int, likelihood: Columns) -> None:
        super().__init__()
        self.linear = nn.Linear(latent, likelihood.width)
        self.log_scale = nn.Parameter(torch.zeros(()))
        # The params of a number end with its log scale.
        fields = zip(likelihood.door.fields, likelihood.widths, strict=True)
        ends = [(torch.arange(n) == n - 1) & field.real for field, n in fields]
        self.register_buffer("is_scale", torch.cat(ends), persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        return torch.where(self.is_scale, self.log_scale, self.linear(z))
