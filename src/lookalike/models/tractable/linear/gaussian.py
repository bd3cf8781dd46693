"""Factor analysis and probabilistic PCA: a few Gaussian factors, a linear map, Gaussian noise; all of it solved.

    z ~ N(0, I),    v = mean + W z + e,    e ~ N(0, Psi)         so    v ~ N(mean, W W' + Psi)

    M = I + W' Psi^-1 W            p(z | v) = N(E z, M^-1),      E z = M^-1 W' Psi^-1 (v - mean)

    log p(v) = log p(v | z) + log p(z) - log p(z | v)            for every z; here at z = E z

v are the numbers of a point or row. What is missing of v drops out of every sum, which is its exact marginal.
Factor analysis has a noise for each column; probabilistic PCA one for all, and then W spans the principal
components. Bayes' rule at z = E z is the density without W W' + Psi ever being built: its error is of second order,
since E z is where the right side is flat, and nothing large is subtracted from something large.

Tipping & Bishop (1999), "Probabilistic principal component analysis", JRSS B 61, 611-622, eq. 12 (closed form);
Rubin & Thayer (1982), "EM algorithms for ML factor analysis", Psychometrika 47, 69-76. The solution is scikit-learn's
(`PCA`, `FactorAnalysis`); where numbers are missing EM goes on from there, each row by what it has.
Differs from both: categories and gaps are modelled too, but each by itself, by how frequent it is.
"""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....nn.doors import Field, missing
from ....nn.likelihoods import draw
from ....spec import Spec
from ...base import Completer, Encoder, Explicit, Solved, seeded

FLOOR = 1e-6
"""The least noise variance in standardised units: a column that the factors give exactly has no endless density."""

SCIKIT = {"tol": 1e-6, "max_iter": 1000}
"""When scikit-learn's own EM for factor analysis ends; it begins well where columns are standardised."""

ROUNDS = 1000
RISE = 1e-6
"""EM ends after so many rounds, or when one raises the mean log p by less than so many nats."""


class LinearGaussian(Explicit, Encoder, Completer, Solved):
    """Numbers from `latent` Gaussian factors; categories and gaps each by itself.

    Arguments:
        latent: factors; no more than one fewer than there are numbers are used.
        isotropic: one noise for all columns (probabilistic PCA) or one for each (factor analysis).
        standardise: whether that one noise is in standard deviations of each column, or in the units of the data.
    """

    exact = True
    bf16 = False
    channels_last = False
    unit: Tensor

    def __init__(self, spec: Spec, latent: int, isotropic: bool, standardise: bool = True) -> None:
        super().__init__(spec)
        self.numbers = [field for field in self.door.fields if field.real]
        self.words = [field for field in self.door.fields if not field.real]
        D = len(self.numbers)
        self.latent = min(latent, max(0, D - 1))
        self.isotropic = isotropic
        self.mean = nn.Parameter(torch.zeros(D))
        self.weight = nn.Parameter(torch.randn(D, self.latent) / max(1, D) ** 0.5)
        self.log_noise = nn.Parameter(torch.zeros(1 if isotropic else D))
        self.logits = nn.Parameter(torch.zeros(sum(field.width for field in self.words)))
        std = torch.tensor([1.0 if standardise else spec.columns[field.column].std for field in self.numbers])
        self.register_buffer("unit", std.reciprocal(), persistent=False)

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h = self.door.enter(x)
        v, there = self._numbers(h)
        slope = torch.where(there, self.door.log_slope(h, self.numbers), 0.0).sum(1)
        return log_density(v, there, self.mean, self.weight, self.noise()) + slope + self._log_words(h)

    def noise(self) -> Tensor:
        """Variance of each number's noise in the door's units, shape (D,)."""
        return self.log_noise.exp() * self.unit.square()

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        v, there = self._numbers(self.door.enter(x))
        return posterior(v, there, self.mean, self.weight, self.noise())[0]

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self._leave(self.mean + z @ self.weight.t(), temperature=0.0)

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        with seeded(seed, self.device):
            return self._draw(self.mean.new_zeros(n, self.latent), None, temperature)

    @torch.no_grad()
    def complete(
        self,
        x: Tensor,
        mask: Tensor,
        y: Tensor | None = None,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """As `Completer.complete`: draws of the exact conditional, z from p(z | what is known) and the rest from z."""
        known = mask.expand_as(x)
        v, there = self._numbers(self.door.enter(torch.where(known, x, x.new_tensor(self._blank()))))
        there = there & known[:, [field.column for field in self.numbers]]
        with seeded(seed, self.device):
            z, cholesky = posterior(v, there, self.mean, self.weight, self.noise())
            return torch.where(known, x, self._draw(z, cholesky, temperature).to(x.dtype))

    @torch.no_grad()
    def solve(self, x: Tensor) -> None:
        h = self.door.enter(x).double()
        v, there = self._numbers(h)
        if self.numbers:
            start = _scikit(_filled(v, there) / self.unit, self.latent, self.isotropic)
            mean, weight, noise = start[0] * self.unit, start[1] * self.unit[:, None], start[2] * self.unit.square()
            noise = noise.clamp(min=FLOOR)
            if not there.all():
                pooled = self.unit.double().square() if self.isotropic else None
                mean, weight, noise = em(v, there.expand_as(v), mean, weight, noise, pooled)
            self.mean.copy_(mean)
            self.weight.copy_(weight)
            self.log_noise.copy_((noise / self.unit.square()).log()[: len(self.log_noise)])
        if self.words:
            # Half an item more of each, so that what the training split lacks is not impossible.
            counts = torch.cat([h[:, field.entries] for field in self.words], 1).sum(0) + 0.5
            self.logits.copy_(counts.log())

    def _numbers(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """The numbers of h, shape (B, D), and which are there, bool, (B, D), or (1, D) where none may be missing."""
        v = h[:, [field.start for field in self.numbers]]
        if all(field.gate < 0 for field in self.numbers):
            return v, torch.ones(1, v.shape[1], dtype=torch.bool, device=v.device)
        always = torch.ones(len(h), dtype=torch.bool, device=h.device)
        return v, torch.stack([~missing(h, f) if f.gate >= 0 else always for f in self.numbers], 1)

    def _log_words(self, h: Tensor) -> Tensor:
        """log p of the categories and gaps, shape (B,)."""
        log_prob = h.new_zeros(len(h))
        for field, logits in self._logits():
            log_prob = log_prob + h[:, field.entries] @ logits.log_softmax(0)
        return log_prob

    def _draw(self, z: Tensor, cholesky: Tensor | None, temperature: float) -> Tensor:
        """x from factors of mean z and covariance M^-1, by the Cholesky factor of M; of I where it is None."""
        eps = torch.randn_like(z)
        if cholesky is not None:
            eps = torch.linalg.solve_triangular(cholesky.mT, eps[..., None], upper=True)[..., 0]
        v = self.mean + (z + temperature * eps) @ self.weight.t()
        return self._leave(v + temperature * self.noise().sqrt() * torch.randn_like(v), temperature)

    def _leave(self, v: Tensor, temperature: float) -> Tensor:
        """x of the numbers v, with categories and gaps drawn (the likeliest at temperature 0)."""
        h = v.new_zeros(len(v), *self.door.shape)
        h[:, [field.start for field in self.numbers]] = v
        for field, logits in self._logits():
            h[:, field.entries] = F.one_hot(draw(logits.expand(len(v), -1), temperature), field.width).to(h.dtype)
        return self.door.leave(h)

    def _logits(self) -> list[tuple[Field, Tensor]]:
        return list(zip(self.words, self.logits.split([field.width for field in self.words]), strict=True))

    def _blank(self) -> list[float]:
        """A row that the door takes, for what is not looked at."""
        return [0.0 if column.categories else column.mean for column in self.spec.columns]


def posterior(v: Tensor, there: Tensor, mean: Tensor, weight: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """E z given what is there of v, shape (B, K), and the Cholesky factor of M, shape (B, K, K) or (1, K, K).

    Arguments:
        v: shape (B, D).
        there: bool, shape (B, D) or (1, D).
        mean, weight, noise: shapes (D,), (D, K), (D,); noise is a variance.
    """
    scaled = there[:, :, None] * (weight / noise[:, None])  # Psi^-1 W, 0 where missing: (B, D, K)
    cholesky = torch.linalg.cholesky(weight.t() @ scaled + torch.eye(weight.shape[1]).to(weight))
    projected = ((v - mean)[:, None] @ scaled).mT
    return torch.cholesky_solve(projected, cholesky.expand(len(v), -1, -1))[..., 0], cholesky


def log_density(v: Tensor, there: Tensor, mean: Tensor, weight: Tensor, noise: Tensor) -> Tensor:
    """log N(v; mean, W W' + Psi) of what is there of v, shape (B,), nats; arguments as `posterior`."""
    z, cholesky = posterior(v, there, mean, weight, noise)
    residual = v - mean - z @ weight.t()
    log_noise = -0.5 * (residual.square() / noise + (2 * math.pi * noise).log())
    log_ratio = -0.5 * z.square().sum(1) - cholesky.diagonal(dim1=1, dim2=2).log().sum(1)  # log p(z) - log p(z | v)
    return torch.where(there, log_noise, 0.0).sum(1) + log_ratio


def em(
    v: Tensor, there: Tensor, mean: Tensor, weight: Tensor, noise: Tensor, pooled: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, weight and noise at which rows with gaps are likeliest, from those given; arguments as `posterior`.

    Arguments:
        pooled: None for a noise of each column, or what one noise of all is multiplied by in each, shape (D,).
    """
    reached = -math.inf
    for _ in range(ROUNDS):
        before, reached = reached, float(log_density(v, there, mean, weight, noise).mean())
        if reached - before < RISE:
            break
        z, cholesky = posterior(v, there, mean, weight, noise)
        spread = torch.cholesky_inverse(cholesky)  # of z given v: (B, K, K)
        z1 = F.pad(z, (0, 1), value=1.0)  # the mean is the weight of a factor that is always 1
        second = F.pad(spread, (0, 1, 0, 1)) + z1[:, :, None] * z1[:, None]
        here = there.to(v.dtype)
        A = torch.einsum("nd,nij->dij", here, second)
        b = (here * v).t() @ z1
        weight1 = torch.linalg.solve(A, b)
        weight, mean = weight1[:, :-1], weight1[:, -1]
        squares = (v - z1 @ weight1.t()).square() + torch.einsum("di,nij,dj->nd", weight, spread, weight)
        sums, counts = (here * squares).sum(0), here.sum(0)
        noise = sums / counts if pooled is None else (sums / pooled).sum() / counts.sum() * pooled
        noise = noise.clamp(min=FLOOR)
    return mean, weight, noise


def _filled(v: Tensor, there: Tensor) -> Tensor:
    """v with each missing number at the mean of its column."""
    count = there.expand_as(v).sum(0).clamp(min=1)
    return torch.where(there, v, torch.where(there, v, 0.0).sum(0) / count)


def _scikit(v: Tensor, latent: int, isotropic: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, weight and noise by scikit-learn, shapes (D,), (D, latent), (D,)."""
    from sklearn.decomposition import PCA, FactorAnalysis
    from sklearn.exceptions import ConvergenceWarning

    n, D = v.shape
    K = min(latent, n - 1)
    if isotropic:
        solved = PCA(K, svd_solver="full").fit(v.numpy())
        excess = torch.from_numpy(solved.explained_variance_ - solved.noise_variance_).clamp(min=0)
        weight = torch.from_numpy(solved.components_).t() * excess.sqrt()
        noise = v.new_full((D,), float(solved.noise_variance_))
    else:
        with warnings.catch_warnings():
            # A noise that goes to 0 does so for ever: likely enough, and no user's fault.
            warnings.simplefilter("ignore", ConvergenceWarning)
            solved = FactorAnalysis(K, svd_method="lapack", **SCIKIT).fit(v.numpy())
        weight, noise = torch.from_numpy(solved.components_).t(), torch.from_numpy(solved.noise_variance_)
    return torch.from_numpy(solved.mean_), F.pad(weight, (0, latent - K)), noise
