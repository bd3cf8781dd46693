"""Sources taken out of their sum, each by the manifold that a decoder has learnt of it.

    x_c = sum_i A_ci s_i,   s_i = G_i(z_i)         c the channels of a mixture, one or several

    z*  = argmin_z  mean_c |x_c - sum_i A_ci G_i(z_i)|^2 / v  +  prior_weight * sum_i mean ((z_i - mean_i) / std_i)^2

for all items and several starts at once, v the mean square of x. Weights that are known are kept. Those that are not
are, at every step, the best ones for the sources at hand, in closed form: A of all items together where there are
several channels, as ICA has it, else a number a source of each item. So no gradient goes through them, and the scale
of a source is its manifold's.

What a manifold cannot make of a source is still in x: at last the sources are moved by as little as lets them add up to
it (Wisdom et al. 2018, arXiv:1811.08521). With as many mixtures as sources that is A^-1 x.

Starts: for each source an entry of a pool, the codes of training items or draws of the prior; from random ones, each
source in turn takes the entry that fits best what the others leave of x.

MAP estimation over codes as in Bora et al. (2017), arXiv:1703.03208, for a sum of generators as in
Soltani, Jain & Sambasivan (2021), "Learning generative models of structured signals from their superposition using
GANs", arXiv:1902.04664, and Jayaram & Thickstun (2020), arXiv:2002.07942. Differs from these: a pool for starts,
weights in closed form, any decoder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..models.base import Latent, Model

RATE = 0.05
"""Of Adam, in deviations of the codes; it falls to 0 along a cosine."""
SWEEPS = 4
"""How often each source takes its best entry of the pool."""
FEW = 64
"""Mixtures from which unknown weights are begun."""
NUMBERS_AT_ONCE = 4_000_000
RIDGE = 1e-6


class Source(NamedTuple):
    """A manifold: what makes it, and codes to begin with.

    Arguments:
        z: codes, shape (P, latent).
    """

    model: Model
    z: Tensor

    def decode(self, z: Tensor) -> Tensor:
        """G(z), float32, shape (B, D)."""
        assert isinstance(self.model, Latent)
        return self.model.decode(z.to(self.model.door.precision.dtype)).flatten(1).float()


class Separated(NamedTuple):
    """What was found of N mixtures, on the CPU.

    Arguments:
        s: the sources, unweighted, shape (N, S, D).
        weights: A, shape (N, M, S).
        error: squared error of the sum, as a share of the mixtures' mean square, shape (N,).
    """

    s: Tensor
    weights: Tensor
    error: Tensor


def separate(
    sources: Sequence[Source],
    x: Tensor,
    weights: Tensor | None,
    *,
    restarts: int = 8,
    steps: int = 300,
    prior_weight: float = 0.001,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Separated:
    """The sources of mixtures.

    Arguments:
        x: mixtures in the sources' units, shape (N, M, D), of M channels.
        weights: A, shape (M, S), where it is known.
        restarts: starts of each item, of which the best counts.
        steps: of Adam.
        progress: told how many steps are done, and of how many.
    """
    device = sources[0].model.device
    generator = torch.Generator().manual_seed(seed)
    told = progress or _silent
    shared = weights is None and x.shape[1] > 1
    if shared:
        # One A for all: of each start another one. The best of them is kept, and the codes sought anew.
        few = x[torch.randperm(len(x), generator=generator)[:FEW]].to(device)
        runs = [_Quest(sources, few, None, 1, generator).run(steps, prior_weight) for _ in range(restarts)]
        weights = min(runs, key=lambda run: run.error.mean().item()).weights[0].to(device)
    size = max(1, NUMBERS_AT_ONCE // (restarts * x.shape[1] * x.shape[2]))
    parts = x.to(device).split(size)
    found = []
    for i, part in enumerate(parts):
        quest = _Quest(sources, part, weights, restarts, generator)
        found.append(quest.run(steps, prior_weight, lambda step, i=i: told(i * steps + step, len(parts) * steps)))
    s, A, error = (torch.cat(of) for of in zip(*found, strict=True))
    if shared:
        A = fitted(x, s).expand_as(A)
    return Separated(consistent(x, s, A), A, error)


def fitted(x: Tensor, s: Tensor) -> Tensor:
    """The one A, shape (M, S), with which sources s, (N, S, D), are nearest to mixtures x, (N, M, D)."""
    gram, right = (s @ s.transpose(1, 2)).sum(0), (x.float() @ s.transpose(1, 2)).sum(0)
    return torch.linalg.solve(gram, right.T).T


def consistent(x: Tensor, s: Tensor, A: Tensor) -> Tensor:
    """The sources nearest to s, (N, S, D), that add up to x, (N, M, D), or as nearly as they can."""
    return s + torch.linalg.pinv(A) @ (x.float() - A @ s)


class _Quest:
    """The search for some items at once; rows of what it holds are (restarts * N, ...), item by item within each."""

    def __init__(
        self, sources: Sequence[Source], x: Tensor, weights: Tensor | None, restarts: int, generator: torch.Generator
    ) -> None:
        self.sources, self.restarts = sources, restarts
        self.x = x.float().repeat(restarts, 1, 1)  # (R N, M, D)
        self.size = self.x.square().mean().clamp(min=1e-12)
        self.known = None if weights is None else weights.to(self.x).expand(len(self.x), -1, -1)
        self.mean = [source.z.mean(0) for source in sources]
        self.std = [source.z.std(0).clamp(min=1e-6) for source in sources]
        with torch.no_grad():
            self.starts = self._starts(generator)

    def weights(self, s: Tensor) -> Tensor:
        """A, shape (R N, M, S), of sources s, shape (R N, S, D): as it is known, or the best one for them."""
        if self.known is not None:
            return self.known
        gram, right = s @ s.transpose(1, 2), self.x @ s.transpose(1, 2)  # (R N, S, S), (R N, M, S)
        if self.x.shape[1] > 1:  # one A for the items of a start
            gram, right = (
                of.unflatten(0, (self.restarts, -1)).sum(1, keepdim=True).expand(-1, len(of) // self.restarts, -1, -1)
                for of in (gram, right)
            )
            gram, right = gram.flatten(0, 1), right.flatten(0, 1)
        size = gram.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + 1e-12
        eye = torch.eye(s.shape[1], device=s.device)
        return torch.linalg.solve(gram / size + RIDGE * eye, (right / size).transpose(1, 2)).transpose(1, 2)

    def _starts(self, generator: torch.Generator) -> list[Tensor]:
        """Codes to begin with, one (R N, latent) for each source."""
        rows, device = len(self.x), self.x.device
        pools = [torch.cat([source.decode(part) for part in source.z.split(500)]) for source in self.sources]
        chosen = [torch.randint(len(pool), (rows,), generator=generator).to(device) for pool in pools]
        s = torch.stack([pool[of] for pool, of in zip(pools, chosen, strict=True)], 1)  # (R N, S, D)
        if self.known is None and self.x.shape[1] > 1:
            A = torch.randn(1, self.x.shape[1], len(pools), generator=generator).to(device).expand(rows, -1, -1)
        else:
            A = torch.ones(rows, self.x.shape[1], len(pools), device=device) if self.known is None else self.known
        for _ in range(SWEEPS):
            for i, pool in enumerate(pools):
                rest = self.x - A @ s + A[:, :, i, None] * s[:, None, i]  # what the others leave
                # |rest_c - A_ci entry|^2 over channels, less what all entries share.
                toward = torch.einsum("nm,nmd->nd", A[:, :, i], rest)
                loss = A[:, :, i].square().sum(1)[:, None] * pool.square().sum(1) - 2 * toward @ pool.T
                chosen[i] = loss.argmin(1)
                s[:, i] = pool[chosen[i]]
            A = self.weights(s)
        return [source.z[of] for source, of in zip(self.sources, chosen, strict=True)]

    @torch.enable_grad()
    def run(self, steps: int, prior_weight: float, told: Callable[..., None] | None = None) -> Separated:
        u = [((z - m) / d).detach().requires_grad_() for z, m, d in zip(self.starts, self.mean, self.std, strict=True)]
        optimiser = torch.optim.Adam(u, RATE)
        for step in range(steps):
            s = self._sources(u)
            total = self._error(s) + prior_weight * sum(of.square().mean(1) for of in u)
            grads = torch.autograd.grad(total.sum(), u)  # of the codes alone: the networks stay as they are
            for of, grad in zip(u, grads, strict=True):
                of.grad = grad
            optimiser.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
            optimiser.step()
            (told or _silent)(step + 1)
        with torch.no_grad():
            s = self._sources(u)
            error = self._error(s)
            total = error + prior_weight * sum(of.square().mean(1) for of in u)
            N = len(error) // self.restarts
            at = total.unflatten(0, (self.restarts, N)).argmin(0) * N + torch.arange(N, device=error.device)
            return Separated(s[at].cpu(), self.weights(s)[at].cpu(), error[at].cpu())

    def _sources(self, u: Sequence[Tensor]) -> Tensor:
        parts = zip(self.sources, self.mean, self.std, u, strict=True)
        return torch.stack([source.decode(m + d * of) for source, m, d, of in parts], 1)

    def _error(self, s: Tensor) -> Tensor:
        A = self.weights(s.detach())
        return (self.x - A @ s).square().mean((1, 2)) / self.size


def _silent(*_: int) -> None:
    return
