"""What every variational autoencoder shares: a code, a posterior that reads it off x, and the bounds they give.

    p(x) = integral p(x|z) N(z; 0, I) dz                   q(z|x) = prod_l N(z_l; mean_l, diag exp(log_var_l))

    log w = log p(x|z) + log p(z) - log q(z|x),   z = mean + exp(log_var / 2) * eps,   eps ~ N(0, I)

    log p(x)  >=  E log 1/k sum_i w_i  =  L_k              rises with k to log p(x)
    L_1       =   E log p(x|z) - KL(q || p)                the ELBO, with the KL in closed form: -(distortion + rate)

mean_l and log_var_l may depend on x and on the groups z_1 ... z_{l-1} of the code above (ladder.py); a plain VAE has
one group. Training charges  beta * min(1, step / kl_warmup)  for the rate and spares each part of the code its
free bits; what is logged and reported never does: it is the true bound.

    reparametrised    d L_k / d phi                                           = E sum_i v_i  dlog w_i / dphi
    doubly            the same expectation without the score of q, v_i^2 for v_i: E sum_i v_i^2 dlog w_i / dz dz / dphi

v is the softmax of log w. Both have the same mean; the second keeps its signal at large k, and at k = 1 vanishes
where q is the exact posterior.

Kingma & Welling (2014), arXiv:1312.6114. Burda et al. (2016), arXiv:1509.00519, eq. 8. Higgins et al. (2017),
beta-VAE, ICLR. Tucker et al. (2019), arXiv:1810.04152, eq. 8. Sohn et al. (2015), "Learning structured output
representation using deep conditional generative models", NeurIPS: labels y are given to both networks.
Mattei & Frellsen (2018), arXiv:1802.04826, algorithm 1: `complete`.
Differs from Kingma et al. (2016), arXiv:1606.04934, appendix C.8: free bits are counted for each item,
not for the mean of a batch, so that an item's loss does not depend on its companions.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ....errors import UserError
from ....metrics.likelihood import bits_per_dim
from ....nn.likelihoods import Likelihood
from ....nn.memory import numbers_at_once
from ....spec import Spec
from ...base import Bounded, Completer, Encoder, Turn, seeded

Gradient = Literal["reparametrised", "doubly"]
Pick = Callable[[Tensor, Tensor, slice], Tensor]
"""The group of the code to go on with, given its mean, its log variance and where in the code it stands."""


@dataclass(frozen=True)
class Objective:
    """What training maximises; none of it changes what is reported.

    Arguments:
        beta: weight of the rate.
        free_bits: nats of the rate of each part of the code that are not charged.
        kl_warmup: steps over which the weight of the rate rises from 0.
        draws: k of L_k.
        gradient: how L_k reaches the encoder.
    """

    beta: float = 1.0
    free_bits: float = 0.0
    kl_warmup: int = 0
    draws: int = 1
    gradient: Gradient = "reparametrised"

    def __post_init__(self) -> None:
        if self.free_bits and self.weighs:
            raise UserError(
                "free_bits needs the rate in closed form, which neither draws above 1 nor the doubly reparametrised "
                "gradient has: choose one."
            )

    @property
    def weighs(self) -> bool:
        """Whether it is made of importance weights, not of a rate in closed form."""
        return self.draws > 1 or self.gradient == "doubly"

    def weight(self, step: int) -> float:
        """What a nat of the rate costs at that step."""
        return self.beta * (min(1.0, step / self.kl_warmup) if self.kl_warmup else 1.0)


class Inferred(NamedTuple):
    """A code and the posterior it was picked from, each (N, latent), and the params of x given it."""

    z: Tensor
    mean: Tensor
    log_var: Tensor
    params: Tensor

    @property
    def kl(self) -> Tensor:
        """KL of each number of the code to the prior, given the groups above it, nats, (N, latent)."""
        return kl_standard_normal(self.mean, self.log_var)

    @property
    def log_q(self) -> Tensor:
        """log q(z|x) - log N(0; 0, I), nats, (N,)."""
        return -0.5 * ((self.z - self.mean).square() * (-self.log_var).exp() + self.log_var).sum(1)

    @property
    def log_p(self) -> Tensor:
        """log p(z) - log N(0; 0, I), nats, (N,)."""
        return -0.5 * self.z.square().sum(1)


class Variational(Bounded, Encoder, Completer):
    """A latent variable model with a Gaussian posterior, trained by a bound on log p(x).

    `sample` gives draws of p(x), noise of the likelihood included: they are what `log_prob` weighs.
    `decode(prior(n))` gives their means given z, the smoother pictures often shown in their place.

    Arguments:
        likelihood: p(x | params).
        latent: numbers in the code.
        objective: what training maximises.
        conditional: whether the networks take labels.
    """

    def __init__(
        self, spec: Spec, likelihood: Likelihood, latent: int, objective: Objective, conditional: bool = False
    ) -> None:
        super().__init__(spec)
        self.likelihood = likelihood
        self.latent = latent
        self.objective = objective
        self.keeps_best = objective.beta == 1  # else the bound is not what it is trained for
        self.conditional = conditional
        self.activations = spec.dims  # of one item in the widest layer

    @abstractmethod
    def read(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, ...]:
        """What the posterior needs of x, computed once for all draws of z; each of shape (B, ...)."""

    @abstractmethod
    def infer(self, read: tuple[Tensor, ...], y: Tensor | None, pick: Pick) -> Inferred:
        """The code that `pick` picks from q(z|x), group by group, and what follows from it."""

    @abstractmethod
    def params(self, z: Tensor, y: Tensor | None) -> Tensor:
        """What the likelihood takes, of codes z, (B, latent)."""

    @abstractmethod
    def parts(self, kl: Tensor) -> Tensor:
        """The rate by what free bits are counted for, (B, parts), of the KL of each number, (B, latent)."""

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        self.start(x, y, step)
        y, weight = self.labels(y), self.objective.weight(step)
        if self.objective.weighs:
            at, distortion, charged, bound = self._weighted(x, y, weight)
        else:
            at = self.infer(self.read(x, y), y, drawn(self.noise(len(x))))
            distortion = -self.likelihood.log_prob(x, at.params)
            charged = -distortion - weight * self.parts(at.kl).clamp(min=self.objective.free_bits).sum(1)
            bound = -distortion - at.kl.sum(1)
        # In bits/dim, so that one learning rate suits every size of data.
        loss = bits_per_dim(charged.mean(), self.spec.dims)
        bits = bits_per_dim(bound.detach().mean(), self.spec.dims)
        yield Turn("model", loss, {**self.rates(at.kl), "distortion": distortion.mean(), "bits_per_dim": bits})

    def rates(self, kl: Tensor) -> dict[str, Tensor]:
        """What to watch of the KL of each number, (N, latent)."""
        return {"rate": kl.sum(1).mean()}

    def _weighted(self, x: Tensor, y: Tensor | None, weight: float) -> tuple[Inferred, Tensor, Tensor, Tensor]:
        """k codes of each item and their distortion; what to maximise, and L_k itself, each (B,)."""
        k, B = self.objective.draws, len(x)
        read = tuple(repeated(part, k) for part in self.read(x, y))
        x, y = repeated(x, k), None if y is None else repeated(y, k)
        at = q = self.infer(read, y, drawn(self.noise(k * B)))
        doubly = self.objective.gradient == "doubly"
        if doubly:  # q's own parameters do not count in log q, only the z drawn with them
            q = at._replace(mean=at.mean.detach(), log_var=at.log_var.detach())
        log_likelihood = self.likelihood.log_prob(x, at.params)
        log_ratio = at.log_p - q.log_q
        log_w = (log_likelihood + weight * log_ratio).view(k, B)
        bound = (log_likelihood + log_ratio).detach().view(k, B).logsumexp(0) - math.log(k)
        charged = log_w.logsumexp(0) - math.log(k)
        if doubly and at.z.requires_grad:
            share = log_w.detach().softmax(0).view(-1, 1)
            at.z.register_hook(lambda gradient: share * gradient)  # the second v_i, on the way to the encoder only
        return at, -log_likelihood, charged, bound

    def rate_distortion(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The two halves of the negative ELBO, KL(q || p) and -log p(x|z) at one draw of z, nats, each (B,)."""
        y = self.labels(y)
        at = self.infer(self.read(x, y), y, drawn(self.noise(len(x))))
        return at.kl.sum(1), -self.likelihood.log_prob(x, at.params)

    def log_prob(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> Tensor:
        if samples == 1:
            rate, distortion = self.rate_distortion(x, y)
            return -(rate + distortion)
        return self.log_weights(x, y, samples).logsumexp(0) - math.log(samples)

    def log_weights(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> Tensor:
        """log p(x|z) p(z) / q(z|x) at `samples` draws z ~ q(z|x), nats, shape (samples, B)."""
        y = self.labels(y)
        read = self.read(x, y)
        at_once = max(1, numbers_at_once(self.device) // (self.activations * len(x)))
        chunks = (min(at_once, samples - done) for done in range(0, samples, at_once))
        return torch.cat([self._weigh(x, y, read, k) for k in chunks])

    def _weigh(self, x: Tensor, y: Tensor | None, read: tuple[Tensor, ...], k: int) -> Tensor:
        # One draw at a time, so that the draws do not depend on how many fit in a chunk.
        eps = torch.cat([self.noise(len(x)) for _ in range(k)])
        x, y = repeated(x, k), None if y is None else repeated(y, k)
        at = self.infer(tuple(repeated(part, k) for part in read), y, drawn(eps))
        return self._log_w(x, at).view(k, -1)

    def _log_w(self, x: Tensor, at: Inferred) -> Tensor:
        return self.likelihood.log_prob(x, at.params) + at.log_p - at.log_q

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        y = self.labels(y)
        return self.infer(self.read(x, y), y, lambda mean, *_: mean).mean

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.likelihood.mean(self.params(z, self.labels(y)))

    def noise(self, n: int) -> Tensor:
        """n draws of N(0, I), shape (n, latent), where the weights are and in their precision."""
        weight = next(self.parameters())
        return torch.randn(n, self.latent, device=weight.device, dtype=weight.dtype)

    def prior(self, n: int, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        """n draws z ~ N(0, temperature^2 I), shape (n, latent)."""
        with seeded(seed, self.device):
            return temperature * self.noise(n)

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        with seeded(seed, self.device):
            y = self.labels_or_any(y, n)
            return self.likelihood.sample(self.params(self.prior(n, temperature=temperature), y), temperature)

    @torch.no_grad()
    def sample_means(
        self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0
    ) -> Tensor:
        with seeded(seed, self.device):
            y = self.labels_or_any(y, n)
            return self.decode(self.prior(n, temperature=temperature), y)

    @torch.no_grad()
    def complete(
        self,
        x: Tensor,
        mask: Tensor,
        y: Tensor | None = None,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
        sweeps: int = 200,
    ) -> Tensor:
        """As `Completer.complete`, by Metropolis within Gibbs:

            x_hidden ~ p(x_hidden | z);       z' ~ q(z|x),  taken with probability min(1, w(z') / w(z))

        So with more sweeps x_hidden comes from p(x_hidden | x_known) itself, whatever q is: q says how soon. In the
        first half every z' is taken, which finds the likely region fast (pseudo-Gibbs).

        Arguments:
            temperature: of the last draw of x_hidden, given z.
            sweeps: turns of x_hidden and z.
        """
        known = mask.expand_as(x)

        def filled(temperature: float = 1.0) -> Tensor:
            return torch.where(known, x, self.likelihood.sample(self.params(z, y), temperature).to(x.dtype))

        with seeded(seed, self.device):
            y = self.labels_or_any(y, len(x))
            z = self.prior(len(x))
            for sweep in range(sweeps):
                z = self._moved(filled(), y, z, certain=2 * sweep < sweeps)
            return filled(temperature)

    def _moved(self, x: Tensor, y: Tensor | None, z: Tensor, certain: bool) -> Tensor:
        """A code drawn from q(z|x), or z itself where that is refused, unless it is `certain` to be taken."""
        read = self.read(x, y)
        at = self.infer(read, y, drawn(self.noise(len(x))))
        if certain:
            return at.z
        was = self.infer(read, y, lambda _mean, _log_var, group: z[:, group])
        taken = torch.rand_like(at.log_p).log() < self._log_w(x, at) - self._log_w(x, was)
        return torch.where(taken[:, None], at.z, was.z)


def drawn(eps: Tensor) -> Pick:
    """z = mean + exp(log_var / 2) * eps, with the group's part of eps, (N, latent)."""
    return lambda mean, log_var, group: mean + (0.5 * log_var).exp() * eps[:, group]


def repeated(x: Tensor, k: int) -> Tensor:
    """k copies of a batch, one after the other, (k * B, ...)."""
    return x.expand(k, *x.shape).flatten(0, 1)


def kl_standard_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, 1)) of each number in nats, shape of `mean`."""
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var)
