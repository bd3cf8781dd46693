"""Autoencoder: a code z = f(x) from which x_hat = g(z) is as near to x as it can be; no density, no samples.

    minimise  E d(x, g(f(x))),        d the squared error of numbers, the cross-entropy of categories

With linear f and g the best code spans the leading principal components (Baldi & Hornik 1989, "Neural
networks and principal component analysis", Neural Networks 2, 53-58); depth bends that plane
(Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks", Science 313).
Differs from the latter: trained from random weights by Adam, not layer by layer.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...nn.doors import Door, missing
from ...nn.likelihoods import precise
from ...nn.own import checked
from ...spec import Spec
from ..base import Encoder, Model, Turn


class Autoencoder(Encoder, Model):
    """An encoder and a decoder trained to give x back.

    Arguments:
        encoder: h of the door -> (B, latent).
        decoder: (B, latent) -> h_hat, numbers as the door has them and a logit for each category.
    """

    def __init__(self, spec: Spec, encoder: nn.Module, decoder: nn.Module, latent: int) -> None:
        super().__init__(spec)
        self.encoder = checked(encoder, "encoder", self.door.shape, (latent,))
        self.decoder = checked(decoder, "decoder", (latent,), self.door.shape)
        self.latent = latent

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        loss = self.distortion(x, y).mean()
        yield Turn("model", loss, {"distortion": loss})

    def distortion(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """How far x is from its reconstruction, shape (B,).

        The squared error of each number (of images in [-1, 1], of columns in standard deviations; 0
        where missing) and the cross-entropy of each category and gap in nats, averaged over them.
        """
        h = self.door.enter(x)
        return distance(self.door, h, precise(self.decoder(self.encoder(h))))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return precise(self.encoder(self.door.enter(x)))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.door.leave(precise(self.decoder(z)))


def distance(door: Door, h: Tensor, h_hat: Tensor) -> Tensor:
    """`Autoencoder.distortion` of h and its reconstruction, as the door has them, shape (B,)."""
    if not any(not field.real for field in door.fields):
        return F.mse_loss(h_hat, h, reduction="none").flatten(1).mean(1)
    parts = []
    for field in door.fields:
        true, guess = h[:, field.entries], h_hat[:, field.entries]
        if not field.real:
            parts.append(-(true * guess.log_softmax(1)).sum(1))
            continue
        error = (true - guess)[:, 0].square()
        parts.append(error.masked_fill(missing(h, field), 0.0) if field.gate >= 0 else error)
    return torch.stack(parts, 1).mean(1)


class Transposed(nn.Module):
    """(B, n) -> (B, m): W' z + b, with the weight W of `linear`, which stays its owner's."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.bias = nn.Parameter(linear.weight.new_zeros(linear.in_features))
        self.linear = (linear,)  # in a tuple, not registered here: W is saved and optimised once

    def forward(self, z: Tensor) -> Tensor:
        return F.linear(z, self.linear[0].weight.t(), self.bias)
