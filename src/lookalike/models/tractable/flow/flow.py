"""Flow: data from Gaussian noise by a map that can be run backwards, its density by change of variables.

    z = f(v; y)        log p(v|y) = log N(z; 0, I) + log |det dz/dv|        x = f^-1(z; y),  z ~ N(0, I)

f is any bijection (`builders` puts the published ones together); v is x, or x made continuous where it is
discrete or may be missing (`dequantise`). Then log p(x) is bounded by draws of the noise u ~ q(u|x):

    log p(x)  >=  E log 1/k sum_i p_v(v(x, u_i)) |dv/dx| / q(u_i|x)        rising with k

What is missing of x given the rest is drawn by Langevin steps in v with what is known held (`completion`).

Dinh et al. (2017), arXiv:1605.08803; Burda et al. (2016), arXiv:1509.00519, eq. 8, for k > 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ....nn.memory import numbers_at_once
from ....spec import Spec
from ...base import Bounded, Completer, Encoder, seeded
from .bijections import Bijection
from .completion import langevin
from .dequantise import Dequantise, Noise, log_normal


class Flow(Bounded, Encoder, Completer):
    """A model that is a bijection with Gaussian noise, for points, tables and images of any size.

    `log_prob` is exact where nothing is discrete or missing (`exact`). Elsewhere it is a draw of a lower bound.

    Arguments:
        bijection: v, shape (B, *Dequantise(spec).shape), to z, shape (B, latent); its context are one-hot labels.
        noise: what fills the bins of what is discrete.
        conditional: whether labels y say what it draws.
    """

    bf16 = False  # its three digits would make the way back another map than the way there
    lossless = True

    def __init__(self, spec: Spec, bijection: Bijection, noise: Noise, conditional: bool = False) -> None:
        super().__init__(spec)
        self.dequantise = Dequantise(spec)
        self.latent = math.prod(self.dequantise.shape)
        self.bijection = bijection
        self.noise = noise
        self.conditional = conditional

    @property
    def exact(self) -> bool:
        return self.dequantise.exact

    def log_prob(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> Tensor:
        if samples == 1 or self.exact:
            return self._weigh(x, y)
        return self.log_weights(x, y, samples).logsumexp(0) - math.log(samples)

    def log_weights(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> Tensor:
        """`log_prob` at so many draws of the noise, shape (samples, B)."""
        at_once = max(1, numbers_at_once(self.device) // max(1, len(x) * self.latent))
        log_weights = []
        for done in range(0, samples, at_once):
            k = min(at_once, samples - done)
            labels = None if y is None else y.repeat(k)
            # Noise of one draw at a time, so that it does not depend on how many fit in a pass.
            u, log_q = (torch.cat(parts) for parts in zip(*[self.noise(x) for _ in range(k)], strict=True))
            log_p = self.log_prob_given(x.repeat(k, *[1] * (x.dim() - 1)), u, labels)
            log_weights.append((log_p - log_q).view(k, len(x)))
        return torch.cat(log_weights)

    def _weigh(self, x: Tensor, y: Tensor | None) -> Tensor:
        """`log_prob` at one draw of the noise."""
        u, log_q = self.noise(x)
        return self.log_prob_given(x, u, y) - log_q

    def log_prob_given(self, x: Tensor, u: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x) with the noise u in (0, 1) given, shape (B, *dequantise.shape), as if it were drawn uniformly."""
        v, log_weight = self.dequantise(x, u)
        return self._log_prob_of(v, self._context(y)) + log_weight

    def _log_prob_of(self, v: Tensor, context: Tensor | None, temperature: float = 1.0) -> Tensor:
        z, log_det = self.bijection(v, context)
        return log_normal(z / temperature).sum(1) + log_det

    def sample(self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        with seeded(seed, self.device), torch.no_grad():
            z = torch.randn(n, self.latent, dtype=self.door.precision.dtype, device=self.device)
            return self.decode(temperature * z, y)

    def sample_means(
        self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0
    ) -> Tensor:
        return self.sample(n, y, seed=seed, temperature=temperature)  # the code decides all of x

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The code of x, shape (B, latent); of something discrete, that of the middle of its bin."""
        u = torch.full((len(x), *self.dequantise.shape), 0.5, dtype=self.door.precision.dtype, device=x.device)
        z: Tensor = self.bijection(self.dequantise(x, u)[0], self._context(y))[0]
        return z

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.dequantise.inverse(self.bijection.inverse(z, self._context(y)))

    def complete(
        self,
        x: Tensor,
        mask: Tensor,
        y: Tensor | None = None,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        context, mask = self._context(y), mask.to(x.device).expand_as(x)
        blank = torch.zeros(len(x), *self.door.shape, dtype=self.door.precision.dtype, device=x.device)
        x_known = torch.where(mask, x, self.door.leave(blank).to(x.dtype))
        free = ~mask if self.spec.kind == "images" else ~mask[:, [field.column for field in self.door.fields]]
        with seeded(seed, self.device), torch.inference_mode(False):
            with torch.no_grad():
                known = self.dequantise(x_known.clone(), self.noise(x_known.clone())[0])[0]
                z = temperature * torch.randn(len(x), self.latent, dtype=known.dtype, device=x.device)
                start = torch.where(free, self.bijection.inverse(z, context), known)
            v = langevin(lambda v: self._log_prob_of(v, context), start, free, temperature)
        with torch.no_grad():
            return torch.where(mask, x, self.dequantise.inverse(v).to(x.dtype))

    def _context(self, y: Tensor | None) -> Tensor | None:
        """Labels as the bijection takes them, one-hot, shape (B, classes)."""
        y = self.labels(y)
        return None if y is None else F.one_hot(y, len(self.spec.classes)).to(self.door.precision.dtype)
