"""Variational autoencoder: one group of code numbers, and two networks that lead to it and back.

    q(z|x) = N(z; mean(x), diag exp(log_var(x)))           the encoder
    p(x|z) = p(x | params(z))                              the decoder, and the likelihood that fits the data

What it is trained by, reports and can do is `Variational` (bound.py).

Kingma & Welling (2014), "Auto-Encoding Variational Bayes", arXiv:1312.6114, section 2.3 and appendix B.
"""

from __future__ import annotations

from torch import Tensor, nn

from ....nn.likelihoods import Likelihood, precise
from ....nn.own import checked
from ....spec import Spec
from .bound import Inferred, Objective, Pick, Variational

SPREAD = 30.0
"""The most a log variance is from 0: further out, where items lie far from all data, its exponential overflows."""


class VAE(Variational):
    """A latent variable model with one group of code numbers, trained by a bound on log p(x).

    Arguments:
        encoder: h of the door -> (B, 2 * latent), the posterior's mean and log variance.
        decoder: (B, latent) -> params of the likelihood.
        likelihood: p(x | params).
        conditional: whether both networks take labels y, shape (B,), as a second argument.
    """

    def __init__(
        self,
        spec: Spec,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        latent: int,
        objective: Objective,
        conditional: bool = False,
    ) -> None:
        super().__init__(spec, likelihood, latent, objective, conditional)
        params = (likelihood.width, *spec.shape[1:]) if spec.kind == "images" else (likelihood.width,)
        self.encoder = checked(encoder, "encoder", self.door.shape, (2 * latent,), labels=conditional)
        self.decoder = checked(decoder, "decoder", (latent,), params, labels=conditional)

    def posterior(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each (B, latent), for x in the user's units."""
        h, y = self.door.enter(x), self.labels(y)
        mean, log_var = precise(self.encoder(h) if y is None else self.encoder(h, y)).chunk(2, dim=1)
        return mean, log_var.clamp(-SPREAD, SPREAD)

    def read(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, ...]:
        return self.posterior(x, y)

    def infer(self, read: tuple[Tensor, ...], y: Tensor | None, pick: Pick) -> Inferred:
        mean, log_var = read
        z = pick(mean, log_var, slice(None))
        return Inferred(z, mean, log_var, self.params(z, y))

    def params(self, z: Tensor, y: Tensor | None) -> Tensor:
        params: Tensor = self.decoder(z) if y is None else self.decoder(z, y)
        return params

    def parts(self, kl: Tensor) -> Tensor:
        return kl
