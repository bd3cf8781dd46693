"""Variational autoencoder: a latent variable model, and a network that guesses the latent of x.

    p(x) = integral p(x|z) N(z; 0, I) dz,          q(z|x) = N(z; mean(x), diag exp(log_var(x)))

    log p(x)  >=  E_q[log p(x|z)] - KL(q(z|x) || p(z))  =  -(distortion + rate)
    log p(x)  >=  E log 1/k sum_i p(x|z_i) p(z_i) / q(z_i|x),    z_1 ... z_k ~ q(z|x)

The first is the ELBO, maximised with z = mean + exp(log_var / 2) * eps so that the gradient passes
through the draw; the second is L_k, which is the ELBO at k = 1 and rises with k to log p(x).

Kingma & Welling (2014), "Auto-Encoding Variational Bayes", arXiv:1312.6114, section 2.3 and appendix B.
Burda et al. (2016), "Importance Weighted Autoencoders", arXiv:1509.00519, eq. 8.
Higgins et al. (2017), "beta-VAE", ICLR: training charges beta * rate; what is reported never does.
Differs from Kingma et al. (2016), arXiv:1606.04934, appendix C.8: free bits are counted for each item,
not for the mean of a batch, so that an item's loss does not depend on its companions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ....metrics.likelihood import bits_per_dim
from ....nn.likelihoods import Likelihood, precise
from ....nn.own import checked
from ....spec import Spec
from ...base import Bounded, Encoder, Turn, seeded

NUMBERS_AT_ONCE = 2**22
"""Of x in one pass of the decoder while weighing many samples: 16 MB a tensor."""


class VAE(Bounded, Encoder):
    """A latent variable model trained by its evidence lower bound.

    `sample` gives draws of p(x), noise of the likelihood included: they are what `log_prob` weighs.
    `decode(prior(n))` gives their means given z, the smoother pictures often shown in their place.

    Arguments:
        encoder: h of the door -> (B, 2 * latent), the posterior's mean and log variance.
        decoder: (B, latent) -> params of the likelihood.
        likelihood: p(x | params).
        beta: weight of the rate in training.
        free_bits: nats of each latent number's rate that training does not charge.
    """

    def __init__(
        self,
        spec: Spec,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        latent: int,
        beta: float = 1.0,
        free_bits: float = 0.0,
    ) -> None:
        super().__init__(spec)
        params = (likelihood.width, *spec.shape[1:]) if spec.kind == "images" else (likelihood.width,)
        self.encoder = checked(encoder, "encoder", self.door.shape, (2 * latent,))
        self.decoder = checked(decoder, "decoder", (latent,), params)
        self.likelihood = likelihood
        self.latent = latent
        self.beta = beta
        self.keeps_best = beta == 1  # else the bound is not what it is trained for
        self.free_bits = free_bits

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        kl, distortion = self._elbo(x, y)
        rate, distortion = kl.sum(1).mean(), distortion.mean()
        charged = kl.clamp(min=self.free_bits).sum(1).mean() if self.free_bits else rate
        # In bits/dim, so that one learning rate suits every size of data.
        loss = bits_per_dim(-(self.beta * charged + distortion), self.spec.dims)
        bits = bits_per_dim(-(rate + distortion).detach(), self.spec.dims)
        yield Turn("model", loss, {"rate": rate, "distortion": distortion, "bits_per_dim": bits})

    def posterior(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each (B, latent), for x in the user's units."""
        mean, log_var = precise(self.encoder(self.door.enter(x))).chunk(2, dim=1)
        return mean, log_var

    def rate_distortion(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The two halves of the negative ELBO, KL(q || p) and -log p(x|z) at one draw of z, nats, each (B,)."""
        kl, distortion = self._elbo(x, y)
        return kl.sum(1), distortion

    def _elbo(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """KL of each latent number, (B, latent), and -log p(x|z) at one draw of z, (B,), nats."""
        mean, log_var = self.posterior(x, y)
        z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)
        return kl_standard_normal(mean, log_var), -self.likelihood.log_prob(x, self.decoder(z))

    def log_prob(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> Tensor:
        if samples == 1:
            rate, distortion = self.rate_distortion(x, y)
            return -(rate + distortion)
        return self.log_weights(x, y, samples).logsumexp(0) - math.log(samples)

    def log_weights(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> Tensor:
        """log p(x|z) p(z) / q(z|x) at `samples` draws z ~ q(z|x), nats, shape (samples, B)."""
        mean, log_var = self.posterior(x, y)
        at_once = max(1, NUMBERS_AT_ONCE // x.numel())
        chunks = (min(at_once, samples - done) for done in range(0, samples, at_once))
        return torch.cat([self._weigh(x, mean, log_var, k) for k in chunks])

    def _weigh(self, x: Tensor, mean: Tensor, log_var: Tensor, k: int) -> Tensor:
        # One sample at a time, so that the draws do not depend on how many fit in a chunk.
        eps = torch.stack([torch.randn_like(mean) for _ in range(k)])  # (k, B, latent)
        z = mean + (0.5 * log_var).exp() * eps
        # log N(z; 0, I) - log N(z; mean, var): the constants cancel.
        log_ratio = 0.5 * (eps.square() - z.square() + log_var).sum(2)
        x = x.expand(k, *x.shape).flatten(0, 1)
        return log_ratio + self.likelihood.log_prob(x, self.decoder(z.flatten(0, 1))).view_as(log_ratio)

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.posterior(x, y)[0]

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.likelihood.mean(self.decoder(z))

    def prior(self, n: int, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        """n draws z ~ N(0, temperature^2 I), shape (n, latent)."""
        with seeded(seed, self.device):
            weight = next(self.parameters())
            return temperature * torch.randn(n, self.latent, device=weight.device, dtype=weight.dtype)

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        with seeded(seed, self.device):
            return self.likelihood.sample(self.decoder(self.prior(n, temperature=temperature)), temperature)

    @torch.no_grad()
    def sample_means(
        self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0
    ) -> Tensor:
        return self.decode(self.prior(n, seed=seed, temperature=temperature))


def kl_standard_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, 1)) of each latent number in nats, shape of `mean`."""
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var)
