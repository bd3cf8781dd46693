"""p(x | params) of rows: a density for each number that is there times a probability for each category and gap.

    p(row) = prod over numbers of  sum_k w_k N(h; mean_k, scale_k) |dh/dx|  *  prod over categories, gates of  probs

A mixture of Gaussians as in Uria et al. (2013), "RNADE", arXiv:1306.0186. `likelihood` names that of any data.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError
from ..spec import Spec
from .doors import Door, Field
from .likelihoods import Bernoulli, Discretised, Likelihood, draw, precise

FAR = 1e6
"""Deviations from the mean: a number drawn from a model gone wild is cut here, before it overflows those after it."""

CEILING = math.log(FAR)
"""The largest log scale of a number."""


class Columns(Likelihood):
    """Rows of a table: a mixture of Gaussians for each number, a categorical for each one-hot field.

    params has, field by field, K logits of the mixture, K means and K log scales for a number
    (in the units of the door), or one logit a category. A missing number is only the probability that
    it is missing: its own factor is 1.

    Arguments:
        components: K.
        floor: the smallest log scale, so that a column of few values cannot win an endless density.
    """

    def __init__(self, spec: Spec, components: int = 1, floor: float = -5.0) -> None:
        super().__init__()
        self.door = Door(spec)
        self.components = components
        self.floor = floor
        self.widths = tuple(3 * components if field.real else field.width for field in self.door.fields)
        self.width = sum(self.widths)

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        h = self.door.enter(x)
        log_prob = h.new_zeros(len(h))
        numbers: list[tuple[Field, Tensor]] = []
        for field, part in self.parts(params):
            if field.real:
                numbers.append((field, part))
            else:
                log_prob = log_prob + (h[:, field.entries] * part.log_softmax(1)).sum(1)
        return log_prob + self._log_numbers(h, numbers) if numbers else log_prob

    def _log_numbers(self, h: Tensor, numbers: list[tuple[Field, Tensor]]) -> Tensor:
        """log p of the numbers that are there, all at once since a table may have hundreds, shape (B,)."""
        fields = [field for field, _ in numbers]
        parts = torch.stack([part for _, part in numbers], 1)  # (B, numbers, 3 K)
        log_prob = self._log_mixture(h[:, [field.start for field in fields]], parts)
        log_prob = log_prob + self.door.log_slope(h, fields)
        if any(field.gate >= 0 for field in fields):
            # A number without a gate is compared with itself, and so is never missing.
            there = [field.gate if field.gate >= 0 else field.start for field in fields]
            gone = [field.gate + 1 if field.gate >= 0 else field.start for field in fields]
            log_prob = log_prob.masked_fill(h[:, gone] > h[:, there], 0.0)
        return log_prob.sum(1)

    def mean(self, params: Tensor) -> Tensor:
        h = params.new_zeros(len(params), *self.door.shape)
        for field, part in self.parts(params):
            if field.real:
                logits, means, _ = part.chunk(3, dim=1)
                h[:, field.start] = (logits.softmax(1) * means).sum(1)
            else:
                h[:, field.entries] = part
        return self.door.leave(h)

    def sample(self, params: Tensor, temperature: float = 1.0) -> Tensor:
        h = params.new_zeros(len(params), *self.door.shape)
        for field, part in self.parts(params):
            h[:, field.entries] = self.sample_field(field, part, temperature)
        return self.door.leave(h)

    def sample_field(self, field: Field, part: Tensor, temperature: float = 1.0) -> Tensor:
        """A draw of one field of h from its own params, shape (B, field.width)."""
        if not field.real:
            return F.one_hot(draw(part, temperature), field.width).to(part.dtype)
        logits, means, log_scales = part.chunk(3, dim=1)
        chosen = draw(logits, temperature)[:, None]
        scale = log_scales.gather(1, chosen).clamp(self.floor, CEILING).exp()
        drawn = means.gather(1, chosen) + temperature * scale * torch.randn_like(scale)
        return drawn.clamp(-FAR, FAR)

    def spread(self) -> Tensor:
        """Params at which a mixture starts well, shape (width,): its parts at the quantiles of N(0, 1).

        Parts that start alike get like gradients, and stay together on one of several modes.
        """
        K = self.components
        means = torch.special.ndtri((torch.arange(K) + 0.5) / K)
        real = torch.cat([torch.zeros(K), means, torch.full((K,), -math.log(max(1.0, K / 2)))])
        return torch.cat([real if field.real else torch.zeros(field.width) for field in self.door.fields])

    def parts(self, params: Tensor) -> zip[tuple[Field, Tensor]]:
        """Each field of the door with its own params, shape (B, its width of `widths`)."""
        return zip(self.door.fields, precise(params).split(self.widths, dim=1), strict=True)

    def _log_mixture(self, h: Tensor, parts: Tensor) -> Tensor:
        """log density of h under its mixture, in the door's units: (..., ) of params (..., 3 K)."""
        logits, means, log_scales = parts.chunk(3, dim=-1)
        log_scales = log_scales.clamp(self.floor, CEILING)
        log_normal = -0.5 * ((h[..., None] - means) / log_scales.exp()).square() - log_scales
        return (logits.log_softmax(-1) + log_normal).logsumexp(-1) - 0.5 * math.log(2 * math.pi)


def likelihood(spec: Spec, name: str, components: int = 1) -> Likelihood:
    """The likelihood of that name for data like `spec`.

    Arguments:
        name: "auto" (Bernoulli for binary images, logistic for others, columns for points and tables),
            "bernoulli", "logistic" or "gaussian".
    """
    if spec.kind != "images":
        if name not in ("auto", "gaussian"):
            raise UserError(f"--likelihood {name} is for images; for {spec.kind} leave it at auto.")
        return Columns(spec, components)
    if name == "bernoulli" or (name == "auto" and spec.levels == 2):
        return Bernoulli(spec)
    return Discretised(spec, "gaussian" if name == "gaussian" else "logistic")
