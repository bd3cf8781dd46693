"""Denoising autoencoder: x from what a corruption has left of it, through a code; stacked, its layers one by one first.

    minimise  E d(x, g(f(c(x)))),        c(x) ~ the corruption, d the distance of `autoencoder`

What cannot be copied must be known: the code learns how the parts of x hang together. With `pretrain` above 0 the first
steps go to the layers, from the first to the last, that many to each:

    layer k      minimise  |a_k - g_k(f_k(mask(a_k)))|^2,        a_k = f_k-1(... f_1(x)), held

and those after them to the whole, g = g_1 . ... . g_K unrolled as Hinton & Salakhutdinov (2006) do. Sigmoid layers need
it where they are many: the gradient of the whole fades by up to 1/4 a layer.

Vincent et al. (2010), "Stacked denoising autoencoders", JMLR 11, 3371-3408, sections 3.1 to 3.3. Differs: decoders have
weights of their own, and what is stacked is tuned to reconstruct, not to classify.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ...nn.corruption import Corruption
from ...nn.likelihoods import precise
from ...nn.own import checked
from ...spec import Spec
from ..base import Encoder, Repairer, Turn
from .autoencoder import distance

MASKED = 0.3
"""The share of the units below that a layer above the first is trained without."""


class DenoisingAutoencoder(Encoder, Repairer):
    """An encoder and a decoder trained to give back x, given what a corruption left of it.

    Arguments:
        encoder: h of the door -> (B, latent); `pretrain` needs layers, one after the other.
        decoder: (B, latent) -> h_hat, as of `Autoencoder`; layers in the reverse order.
        corruption: c.
        pretrain: steps for each layer before those for the whole.
    """

    def __init__(
        self,
        spec: Spec,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        corruption: Corruption,
        pretrain: int = 0,
    ) -> None:
        super().__init__(spec)
        self.encoder = checked(encoder, "encoder", self.door.shape, (latent,))
        self.decoder = checked(decoder, "decoder", (latent,), self.door.shape)
        self.latent = latent
        self.corruption = corruption
        self.pretrain = pretrain
        self.prepares = pretrain * len(self.stack) if pretrain else 0

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        h = self.door.enter(x)
        if step < self.prepares:
            loss = self.of_layer(h, step // self.pretrain).mean()
            yield Turn("model", loss, {"layer_distortion": loss})
            return
        loss = distance(self.door, h, self.undo(self.corruption(h))).mean()
        yield Turn("model", loss, {"distortion": loss})

    @property
    def stack(self) -> list[tuple[nn.Module, nn.Module]]:
        """Each layer of the encoder, and that of the decoder which undoes it."""
        assert isinstance(self.encoder, nn.Sequential)
        assert isinstance(self.decoder, nn.Sequential)
        return list(zip(self.encoder, reversed(self.decoder), strict=True))

    def of_layer(self, h: Tensor, k: int) -> Tensor:
        """The distance that layer k is trained to make small, of items at the door, shape (B,)."""
        (encode, decode), below = self.stack[k], [layer for layer, _ in self.stack[:k]]
        if k == 0:
            return distance(self.door, h, precise(decode(encode(self.corruption(h)))))
        with torch.no_grad():
            for layer in below:
                h = layer(h)
        h = precise(h)
        noisy = h.masked_fill(torch.rand_like(h) < MASKED, 0.0)
        return (precise(decode(encode(noisy))) - h).square().mean(1)

    def undo(self, h: Tensor) -> Tensor:
        return precise(self.decoder(self.encoder(h)))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return precise(self.encoder(self.door.enter(x)))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.door.leave(precise(self.decoder(z)))
