"""Autoencoder whose code is what is in an image, beside where each max-pooling found it.

    z, where = f(x)            minimise  E |x - g(z, where)|^2 + |x - g(z)|^2

`reconstruct` unpools each value to where it was, so edges are as sharp as they were; `decode` has the code alone, and
spreads each value over the four places it may have come from. How much better the first is, is how much of an image is
where things are, and not what they are.

Zhao et al. (2016), "Stacked what-where auto-encoders", arXiv:1506.02351; unpooling is Zeiler et al. (2011). Differs:
both ways back are trained, so that the code by itself decodes.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.nn import functional as F

from ...nn.likelihoods import precise
from ...nn.pooling import PooledDecoder, PooledEncoder
from ...spec import Spec
from ..base import Encoder, Model, Turn


class WhatWhere(Encoder, Model):
    """An encoder that pools, and a decoder that unpools.

    Arguments:
        latent: numbers in the code.
        width: channels of the first convolution.
    """

    bf16 = False  # the largest of four numbers of three digits is often two

    def __init__(self, spec: Spec, latent: int, width: int) -> None:
        super().__init__(spec)
        self.latent = latent
        self.encoder = PooledEncoder(spec.shape, latent, width)
        self.decoder = PooledDecoder(latent, spec.shape, width)

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        h = self.door.enter(x)
        z, where = self.encoder(h)
        both, what = (F.mse_loss(precise(h_hat), h) for h_hat in (self.decoder(z, where), self.decoder(z)))
        yield Turn("model", both + what, {"distortion": both, "distortion_of_what": what})

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """What, without where."""
        return precise(self.encoder(self.door.enter(x))[0])

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.door.leave(precise(self.decoder(z)))

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """x through its code and back, each value to where it was."""
        return self.door.leave(precise(self.decoder(*self.encoder(self.door.enter(x)))))
