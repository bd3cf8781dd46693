"""Adversarial autoencoder: an autoencoder whose codes a discriminator cannot tell from draws of a prior.

    z ~ q(z|x)          the encoder          p(x|z) = p(x | params(z))          the decoder
    z ~ p(z)            the prior            D(z) a logit: draws above, codes below

    autoencoder      minimise  -E log p(x|z)                                 both networks: the code keeps x
    discriminator    tells draws of p(z) from codes                          an entry of `losses.OBJECTIVES`
    encoder          is the generator of codes: they are to pass for draws

so that  q(z) = E q(z|x)  becomes p(z), and what is decoded of draws is like data. No density of either is needed:
any prior will do that can be drawn from. The posterior is one of

    deterministic    z = f(x)
    gaussian         z = mean(x) + exp(log_var(x) / 2) * eps,  eps ~ N(0, I)
    universal        z = f(x, eps): any distribution                           section 2, "universal approximator"

With labels either the discriminator is given them, so that each has a part of the prior (section 2.3), or the decoder
is, so that the code holds all but the label (section 4).

Makhzani et al. (2015), "Adversarial autoencoders", arXiv:1511.05644, section 2. Differs from it: the discriminator's
slopes may be held as in any GAN of `losses`, and the decoder has a likelihood with a learnt scale, not a squared error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from ....errors import UserError
from ....metrics.likelihood import bits_per_dim
from ....nn.likelihoods import Likelihood, precise
from ....nn.own import checked
from ....spec import Spec
from ...base import Encoder, Implicit, Turn, seeded
from ..losses import Objective
from ..penalties import Price
from .priors import Prior

Posterior = Literal["deterministic", "gaussian", "universal"]
Condition = Literal["none", "prior", "decoder"]


class AAE(Implicit, Encoder):
    """The game of an encoder, a decoder and a discriminator of codes.

    Arguments:
        encoder: h of the door -> (B, latent), or (B, 2 * latent) for a gaussian posterior; of a universal one h has
            `noise` more channels or columns, which are normal.
        decoder: (B, latent) -> params of the likelihood; labels (B,) come second where they are given to it.
        discriminator: (B, latent) -> (B, 1), a logit; labels (B,) come second where they have parts of the prior.
        likelihood: p(x | params).
        code_prior: what codes are to be distributed like.
        posterior: q(z|x).
        noise: numbers of eps in a universal posterior.
        objective: what discriminator and encoder are after, a name in `losses.OBJECTIVES`.
        penalty: on the discriminator's slopes, a name in `penalties.PENALTIES`.
        penalty_weight: of the penalty.
        n_critic: turns of the discriminator in each step.
        condition: where labels enter.
    """

    keeps_best = False  # the error of reconstruction is half of what it is trained for

    def __init__(
        self,
        spec: Spec,
        encoder: nn.Module,
        decoder: nn.Module,
        discriminator: nn.Module,
        likelihood: Likelihood,
        code_prior: Prior,
        *,
        objective: Objective,
        price: Price,
        posterior: Posterior = "deterministic",
        noise: int = 0,
        n_critic: int = 1,
        condition: Condition = "none",
    ) -> None:
        super().__init__(spec)
        self.posterior = posterior
        self.noise = noise if posterior == "universal" else 0
        self.latent = latent = code_prior.latent
        shape = self.door.shape
        params = (likelihood.width, *spec.shape[1:]) if spec.kind == "images" else (likelihood.width,)
        taken, given = (shape[0] + self.noise, *shape[1:]), (2 * latent if posterior == "gaussian" else latent,)
        self.encoder = checked(encoder, "encoder", taken, given)
        self.decoder = checked(decoder, "decoder", (latent,), params, labels=condition == "decoder")
        self.discriminator = checked(discriminator, "discriminator", (latent,), (1,), labels=condition == "prior")
        self.likelihood = likelihood
        self.code_prior = code_prior
        self.objective = objective
        self.price = price
        self.n_critic = n_critic
        self.condition = condition
        self.conditional = condition != "none"
        self.truncates = code_prior.truncates
        self.bf16 = spec.kind == "images"  # three digits are too few for the numbers of a row

    def players(self) -> dict[str, nn.Module]:
        """The encoder plays twice: with an optimiser for each of its losses neither is drowned by the other."""
        return {
            "autoencoder": nn.ModuleList([self.encoder, self.decoder, self.likelihood]),
            "discriminator": self.discriminator,
            "encoder": self.encoder,
        }

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        h, y = self.door.enter(x), self.labels(y)
        # The code learns to keep x ...
        distortion = -self.likelihood.log_prob(x, self.params(self.infer(h), y)).mean()
        # In bits/dim, so that one learning rate suits every size of data.
        yield Turn("autoencoder", bits_per_dim(-distortion, self.spec.dims), {"distortion": distortion})

        # ... the discriminator to tell codes, of the encoder just moved, from draws of the prior ...
        z = self.infer(h)
        for i in range(self.n_critic):
            real, fake = self.code_prior(len(x), self._part(y)), z.detach()
            real_logits, fake_logits = self.logits(torch.cat([real, fake]), y).chunk(2)
            loss = self.objective.discriminator(real_logits, fake_logits)
            logs = {"real_logits": real_logits.mean(), "fake_logits": fake_logits.mean()}
            if self.price.due(step * self.n_critic + i):
                parameters = list(self.discriminator.parameters())
                paid, said = self.price(lambda z: self.logits(z, y), real, fake, loss, step, parameters)
                loss, logs = loss + paid, logs | said
            yield Turn("discriminator", loss, logs)

        # ... and the encoder to have its codes taken for draws by the discriminator just updated.
        fake_logits = self.logits(z, y)
        with torch.no_grad():
            real_logits = self.logits(real, y) if self.objective.relative else fake_logits
        yield Turn("encoder", self.objective.generator(fake_logits, real_logits))

    def infer(self, h: Tensor) -> Tensor:
        """A draw of z ~ q(z|x), shape (B, latent), with gradients, for h as the door gives it."""
        eps = h.new_empty(len(h), self.noise if self.noise else self.latent).normal_()
        if self.posterior == "universal":
            return precise(self.encoder(beside(h, eps)))
        z = precise(self.encoder(h))
        if self.posterior == "deterministic":
            return z
        mean, log_var = z.chunk(2, dim=1)
        return mean + (0.5 * log_var).exp() * eps

    def logits(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The discriminator's logits, float32, shape (B,), of codes.

        Arguments:
            y: labels, shape (B,), or of one part of z where z is several parts with the same labels.
        """
        y = self._part(y)
        logits = self.discriminator(z) if y is None else self.discriminator(z, y.repeat(len(z) // len(y)))
        return precise(logits).squeeze(1)

    def params(self, z: Tensor, y: Tensor | None) -> Tensor:
        """What the likelihood takes, of codes z, (B, latent)."""
        if self.condition != "decoder":
            return self.decoder(z)
        if y is None or y.shape != (len(z),):
            raise UserError(
                f"the decoder was trained with labels: it takes one y from 0 to {len(self.spec.classes) - 1} for each "
                f"of the {len(z)} codes."
            )
        return self.decoder(z, y.to(z.device))

    def prior(
        self,
        n: int,
        y: Tensor | None = None,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
        truncation: float | None = None,
    ) -> Tensor:
        """n draws of p(z), or of the parts of labels y, (n,), where they have parts; shape (n, latent)."""
        with seeded(seed, self.device):
            part = self._part(self.labels_or_any(y, n))
            draws: Tensor = self.code_prior(n, part, temperature, truncation)
            return draws

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The code of x, shape (B, latent): f(x), the posterior's mean, or f(x, 0) of a universal one."""
        h = self.door.enter(x)
        z = precise(self.encoder(beside(h, h.new_zeros(len(h), self.noise)) if self.noise else h))
        return z[:, : self.latent]

    def draw_codes(self, x: Tensor, *, seed: int | None = None) -> Tensor:
        """z ~ q(z|x), shape (B, latent), for x in the user's units: over data they are distributed like the prior."""
        with seeded(seed, self.device), torch.no_grad():
            return self.infer(self.door.enter(x))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.likelihood.mean(self.params(z, y))

    @torch.no_grad()
    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
        truncation: float | None = None,
    ) -> Tensor:
        """n draws in the user's units, shape (n, *spec.shape); the same seed gives the same draws.

        Images are the decoder's means, rounded to the nearest of their levels, as in the paper: its noise is
        independent in each pixel. Of rows each number and category is drawn.

        Arguments:
            y: labels, shape (n,), for a conditional model; where not given, each class is as likely.
            temperature: of the prior, and of the draws of a row.
            truncation: the most a number of a gaussian prior may be, in deviations; None for no limit.
        """
        with seeded(seed, self.device):
            y = self.labels_or_any(y, n)
            params = self.params(self.prior(n, y, temperature=temperature, truncation=truncation), y)
            if self.spec.kind != "images":
                return self.likelihood.sample(params, temperature)
        return self.door.on_levels(self.likelihood.mean(params))

    def _part(self, y: Tensor | None) -> Tensor | None:
        """The labels where they have parts of the prior."""
        return y if self.condition == "prior" else None


def beside(h: Tensor, eps: Tensor) -> Tensor:
    """h, (B, n, ...), with eps, (B, noise), as further columns of rows or constant planes of images."""
    planes = eps.reshape(*eps.shape, *[1] * (h.dim() - 2)).expand(-1, -1, *h.shape[2:])
    return torch.cat([h, planes], dim=1)
