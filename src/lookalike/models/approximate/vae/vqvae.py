"""VQ-VAE: a code of discrete levels, the nearest of K learnt vectors at each place of a small image.

    h = encoder(x)        k = argmin_k |h - e_k|        q = e_k          at each of h * w places

    loss = -log p(x|q) + commitment * |h - sg[q]|^2,     with h + sg[q - h] for q, so that h has the gradient of q
    e_k <- running mean of the h that are nearest to it
    log p(x)  =  log sum_codes p(codes) p(x|codes)  >=  log p(codes) + log p(x|codes)       with the code of x

sg stops the gradient; the last line is the ELBO of a posterior that is certain of its code. p(codes) is uniform,
h * w * log K nats, until a second model has learnt what codes are like (`attach`): the codes of a training split are
a data set of images with K levels, and any model of images with a density is a prior of them.

van den Oord et al. (2017), "Neural discrete representation learning", arXiv:1711.00937, eq. 3 and appendix A.1.
Differs from the paper: a code that nearly no place takes is put where a place of the batch is, as all are at the
first step (Dhariwal et al. 2020, "Jukebox", arXiv:2005.00341, section 3.1), or most would never be used; p(x|q)
is a likelihood of discrete intensities, so that the bound is of the data as stored; vectors are short (16 numbers).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from ....errors import UserError
from ....metrics.likelihood import bits_per_dim
from ....nn.conv import Grow, Shrink, pyramid
from ....nn.likelihoods import Likelihood, precise
from ....nn.own import checked
from ....nn.rows import likelihood as likelihood_of
from ....options import Range
from ....spec import Spec
from ...base import Bounded, Coded, Encoder, Explicit, Turn, seeded
from .builders import LikelihoodName

SMALLEST = 4
"""Places a side of a code, at the least: there would be nothing for a prior to see."""

MEMORY = 0.98
"""Of the running means: they forget in about 50 steps."""

DEAD = 0.1
"""A code is dead that is taken less often than this part of its fair share 1 / K."""


class VQVAE(Bounded, Encoder, Coded):
    """An autoencoder with codes of K levels; with a prior on them, a model to draw from.

    `encode` gives the vectors of the code, flat, shape (B, latent); `decode` takes the nearest codes of any numbers
    of that shape; `codes` gives the levels themselves.

    Arguments:
        encoder: (B, C, H, W) of the door -> (B, width of a vector, h, w).
        decoder: (B, width of a vector, h, w) -> params of the likelihood.
        levels: K.
        place: (width of a vector, h, w).
        commitment: weight of the encoder's distance to its codes.
    """

    codebook: Tensor
    sums: Tensor
    usage: Tensor

    def __init__(
        self,
        spec: Spec,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        levels: int,
        place: tuple[int, int, int],
        commitment: float = 0.25,
    ) -> None:
        super().__init__(spec)
        self.encoder = checked(encoder, "encoder", self.door.shape, place)
        self.decoder = checked(decoder, "decoder", place, (likelihood.width, *spec.shape[1:]))
        self.likelihood = likelihood
        self.levels = levels
        self.place = place
        self.latent = math.prod(place)
        self.commitment = commitment
        self.register_buffer("codebook", torch.randn(levels, place[0]))
        self.register_buffer("sums", torch.zeros(levels, place[0]))
        self.register_buffer("usage", torch.zeros(levels))  # none is taken yet: all are dead at the first step
        self.prior: Explicit | None = None

    @property
    def code_spec(self) -> Spec:
        return Spec("images", (1, *self.place[1:]), self.levels, self.spec.classes)

    def attach(self, prior: Explicit) -> None:
        mine, its = self.code_spec, prior.spec
        if (its.kind, its.shape, its.levels) != (mine.kind, mine.shape, mine.levels):
            raise UserError(f"the prior is of {its}, but the codes are {mine}: train it on the codes of this run.")
        if prior.conditional and its.classes != mine.classes:
            raise UserError("the prior takes other labels than the data has: train it on the codes of this run.")
        self.prior = prior
        self.conditional = prior.conditional

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        h = self._vectors(x)
        self._revive(h.detach())
        k = self.nearest(h)
        q = self._look_up(k)
        distortion = -self.likelihood.log_prob(x, self.decoder(h + (q - h).detach())).mean()
        # In bits/dim, so that one learning rate suits every size of data.
        loss = bits_per_dim(-distortion, self.spec.dims) + self.commitment * F.mse_loss(h, q)
        self._learn(h.detach(), k)
        share = self.usage / self.usage.sum()
        logs = {
            "distortion": distortion,
            "bits_per_dim": bits_per_dim(-(distortion + self._log_uniform()).detach(), self.spec.dims),
            "codes_used": torch.special.entr(share).sum().exp(),  # perplexity: as many taken alike
        }
        yield Turn("model", loss, logs)

    def log_prob(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> Tensor:
        """As `Bounded.log_prob`; the posterior is certain of its code, so that more samples do not tighten it."""
        rate, distortion = self.rate_distortion(x, y)
        return -(rate + distortion)

    def rate_distortion(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """-log p(codes) and -log p(x | codes) at the code of x, nats, each shape (B,)."""
        k = self.codes(x)
        distortion = -self.likelihood.log_prob(x, self.params(k))
        if self.prior is None:
            return torch.full_like(distortion, self._log_uniform()), distortion
        return -self.prior.log_prob(self._as_images(k), y), distortion

    def codes(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.nearest(self._vectors(x))

    def nearest(self, h: Tensor) -> Tensor:
        """The level of the nearest code at each place of h, (B, width, h, w): shape (B, 1, h, w), int64."""
        # |h - e|^2 without |h|^2, which all codes share.
        distance = self.codebook.square().sum(1) - 2 * h.movedim(1, -1) @ self.codebook.t()
        return distance.argmin(-1)[:, None]

    def params(self, k: Tensor) -> Tensor:
        """What the likelihood takes, of codes k, shape (B, 1, h, w)."""
        params: Tensor = self.decoder(self._look_up(k))
        return params

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self._look_up(self.codes(x)).flatten(1)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.likelihood.mean(self.params(self.nearest(z.unflatten(1, self.place))))

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        with seeded(seed, self.device):
            k = self.sample_codes(n, y, temperature=temperature)
            return self.likelihood.sample(self.params(k), temperature)

    @torch.no_grad()
    def sample_means(
        self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0
    ) -> Tensor:
        return self.likelihood.mean(self.params(self.sample_codes(n, y, seed=seed, temperature=temperature)))

    def sample_codes(
        self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0
    ) -> Tensor:
        """n codes of the prior, uniform where there is none, int64, shape (n, 1, h, w)."""
        with seeded(seed, self.device):
            if self.prior is None:
                # All are likeliest; at temperature 0 it is to be the same one each time.
                levels = self.levels if temperature else 1
                return torch.randint(levels, (n, 1, *self.place[1:]), device=self.device)
            return (self.prior.sample(n, y, temperature=temperature) * (self.levels - 1)).round().long()

    def _vectors(self, x: Tensor) -> Tensor:
        return precise(self.encoder(self.door.enter(x)))

    def _look_up(self, k: Tensor) -> Tensor:
        """The vectors of codes k, (B, 1, h, w): shape (B, width, h, w)."""
        return F.embedding(k[:, 0], self.codebook).movedim(-1, 1)

    def _as_images(self, k: Tensor) -> Tensor:
        return k.to(self.codebook.dtype) / (self.levels - 1)

    def _log_uniform(self) -> float:
        """-log p(codes) where all are alike."""
        return math.prod(self.place[1:]) * math.log(self.levels)

    @torch.no_grad()
    def _revive(self, h: Tensor) -> None:
        """Put each dead code where a place of h, (B, width, h, w), is: the same for all processes."""
        rows = h.movedim(1, -1).flatten(0, -2)
        new = rows[torch.randint(len(rows), (self.levels,), device=h.device)].contiguous()
        if distributed.is_available() and distributed.is_initialized():
            distributed.broadcast(new, 0)
        dead = self.usage < DEAD / self.levels
        self.codebook.copy_(torch.where(dead[:, None], new, self.codebook))
        self.usage.masked_fill_(dead, 1 / self.levels)
        self.sums.copy_(self.codebook * self.usage[:, None])

    @torch.no_grad()
    def _learn(self, h: Tensor, k: Tensor) -> None:
        """Move each code to the running mean of the places that take it."""
        rows, taken = h.movedim(1, -1).flatten(0, -2), F.one_hot(k.flatten(), self.levels).to(h.dtype)
        news = torch.cat([taken.t() @ rows, taken.sum(0)[:, None]], dim=1) / len(rows)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(news)
            news /= distributed.get_world_size()
        self.sums.lerp_(news[:, :-1], 1 - MEMORY)
        self.usage.lerp_(news[:, -1], 1 - MEMORY)
        self.codebook.copy_(self.sums / self.usage[:, None])


def vqvae(
    spec: Spec,
    *,
    codes: Annotated[int, Range(2, 256)] = 128,
    code_width: Annotated[int, Range(1)] = 16,
    halvings: Annotated[int, Range(0)] = 2,
    width: Annotated[int, Range(1)] = 64,
    depth: Annotated[int, Range(0)] = 2,
    likelihood: LikelihoodName = "auto",
    commitment: Annotated[float, Range(0)] = 0.25,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> VQVAE:
    """A VQ-VAE of convolutions, for images of any size.

    Arguments:
        codes: learnt vectors to choose from at each place.
        code_width: numbers in each of them.
        halvings: of a side from the image to its code; fewer where less than 4 places would be left.
        width: channels of the convolutions at the code's size, half of it above.
        depth: residual blocks there.
        likelihood: of x given its code; auto takes bernoulli for binary images and logistic for others.
        commitment: weight of the encoder's distance to its codes.
        encoder: your own, from (B, C, H, W) to (B, code_width, h, w), h and w the sides after the halvings.
        decoder: your own, from (B, code_width, h, w) to the likelihood's parameters.
    """
    p_x = likelihood_of(spec, likelihood)
    sizes = [size for size in pyramid(*spec.shape[1:])[: halvings + 1] if min(size) >= SMALLEST]
    sizes = sizes or [(spec.shape[1], spec.shape[2])]
    encoder = encoder or Shrink(spec.shape[0], code_width, sizes, width, depth)
    decoder = decoder or Grow(code_width, p_x.width, sizes, width, depth)
    return VQVAE(spec, encoder, decoder, p_x, codes, (code_width, *sizes[-1]), commitment)
