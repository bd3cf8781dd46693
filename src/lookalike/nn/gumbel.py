"""Drawing the columns of a table so that gradients pass: straight-through Gumbel-softmax.

With g ~ Gumbel(0, 1) for each category, argmax(logits + T g) is a draw from softmax(logits / T). It is
what comes out; the gradient is that of softmax((logits + T g) / tau), which is near it for a small tau.

Jang et al. (2017), arXiv:1611.01144; Maddison et al. (2017), arXiv:1611.00712; for tables Xu et al.
(2019), "Modeling tabular data using conditional GAN", arXiv:1907.00503, section 4.3 (tau = 0.2).
Differs from the latter: what comes out is one-hot, as the data are, so that a discriminator cannot tell
samples by their soft categories.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .doors import Field


def straight_through(logits: Tensor, temperature: float = 1.0, tau: float = 0.2) -> Tensor:
    """A one-hot draw from softmax(logits / temperature), shape (B, K); the likeliest at temperature 0."""
    if temperature > 0:
        logits = logits - temperature * torch.empty_like(logits).exponential_().log()  # -log Exp(1) is Gumbel
    soft = (logits / tau).softmax(1)
    hard = F.one_hot(logits.argmax(1), logits.shape[1]).to(soft.dtype)
    return hard + (soft - soft.detach())


def draw_fields(raw: Tensor, fields: Sequence[Field], temperature: float = 1.0) -> Tensor:
    """Rows as a door gives them, from a network's numbers: both h of the door's shape, (B, D).

    A one-hot field is drawn by its logits; a number is taken as it is, 0 where its gate says missing.
    """
    if all(field.real and field.gate < 0 for field in fields):
        return raw
    drawn: dict[int, Tensor] = {}
    for field in fields:
        part = raw[:, field.entries]
        if not field.real:
            part = straight_through(part, temperature)
        elif field.gate >= 0:
            part = part * drawn[field.gate][:, :1]  # the gate's entry for "there"
        drawn[field.start] = part
    return torch.cat(list(drawn.values()), dim=1)
