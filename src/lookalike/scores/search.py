"""The code behind an item, by search: for models without a way back, and to better that of models with one.

    z* = argmin_z  |G(z) - x|^2 / dims  +  prior_weight * mean_i ((z_i - mean_i) / std_i)^2

from several starts at once: the encoder's code where there is one, and those of some draws of the prior whose G(z)
are nearest to x. Adam moves all starts of all items in one batch; it treats every number by itself, so items do not
depend on each other. The prior's mean and deviation are those of the draws, so any prior will do.

Errors are of intensities in [0, 1], or of rows as `view` has them: standardised numbers, one-hot categories.
Categories and rounded numbers of a row pass no gradient: there the choice of the start decides.

Lipton & Tripathi (2017), "Precise recovery of latent vectors from generative adversarial networks",
arXiv:1702.04782; Bora et al. (2017), "Compressed sensing using generative models", arXiv:1703.03208, eq. 3, whose
prior term and restarts these are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from ..errors import UserError
from ..models.base import Encoder, Explicit, Implicit, Latent, Model, seeded
from ..nn.doors import missing
from ..nn.memory import onto
from .view import fields_of, view

POOL = 512
"""Draws of the prior among which starts are looked for."""
NUMBERS_AT_ONCE = 2_000_000
"""Of images or rows in one batch."""
RATE = 0.05
"""Of Adam, in deviations of the prior; it falls to 0 along a cosine."""


@runtime_checkable
class Drawn(Protocol):
    """A model that draws codes of its prior by itself."""

    def prior(self, n: int, *, seed: int | None = None) -> Tensor:
        """n draws, shape (n, latent)."""


class Sight(NamedTuple):
    """What there is of images instead of themselves: v = A x, with noise.

    Arguments:
        observe: A, of images in [0, 1] (B, *spec.shape), with gradients.
        v: of N items, (N, ...).
        known: where v counts, bool, shape of v; None for everywhere.
        noise: its deviation.
        outliers: the share of v that may be anything from 0 to 1.
    """

    observe: Callable[[Tensor], Tensor]
    v: Tensor
    known: Tensor | None = None
    noise: float = 0.1
    outliers: float = 0.0

    def of(self, items: slice, device: torch.device) -> Sight:
        """The same of some of the items."""
        known = None if self.known is None else self.known[items].to(device)
        return self._replace(v=self.v[items].to(device), known=known)

    def cost(self, square: Tensor) -> Tensor:
        """2 noise^2 times -log of (1 - outliers) N(v; A x, noise) + outliers, less what it is at v = A x."""
        if self.outliers == 0:
            return square
        s2 = 2 * self.noise**2
        odds = self.outliers / (1 - self.outliers) * math.sqrt(math.pi * s2)
        return s2 * (math.log1p(odds) - ((-square / s2).exp() + odds).log())


class Found(NamedTuple):
    """What was found for N items, on the CPU.

    Arguments:
        z: shape (N, latent). x_hat: G(z), in the user's units, shape (N, *spec.shape).
        error: mean squared error of each, shape (N,). start: that of its best start.
    """

    z: Tensor
    x_hat: Tensor
    error: Tensor
    start: Tensor


def prior_draws(model: Model, n: int, seed: int) -> Tensor | None:
    """n codes of the model's prior, shape (n, latent), where it is; None of one without a prior."""
    if isinstance(model, Drawn):
        return model.prior(n, seed=seed)
    if not isinstance(model, Explicit | Implicit):
        return None
    assert isinstance(model, Latent)
    with seeded(seed, model.device):
        return torch.randn(n, model.latent, device=model.device, dtype=model.door.precision.dtype)


@torch.inference_mode(False)
def search(
    model: Model,
    x: Tensor,
    y: Tensor | None = None,
    *,
    restarts: int = 4,
    steps: int = 200,
    prior_weight: float = 0.001,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    sight: Sight | None = None,
) -> Found:
    """The codes whose G(z) is nearest to items.

    Arguments:
        model: with a code, in eval mode.
        x: in the user's units, shape (N, *spec.shape).
        y: labels, shape (N,), which a conditional model needs.
        restarts: starts of each item; the best one counts.
        steps: of Adam.
        prior_weight: of the term that keeps codes near the prior; 0 for none.
        progress: told how many steps are done, and of how many.
        sight: what the decoded images are to agree with in place of x, which then is only where encoders begin.

    Raises:
        UserError: a conditional model is given no labels.
    """
    if model.conditional and y is None:
        raise UserError("this model draws by label, and these items have none: name data with labels.")
    size = max(1, NUMBERS_AT_ONCE // (restarts * model.spec.dims))
    parts = math.ceil(len(x) / size)
    found = []
    for i, part in enumerate(x.split(size)):
        of = y[i * size : i * size + len(part)].to(model.device) if y is not None and model.conditional else None
        seen = None if sight is None else sight.of(slice(i * size, i * size + len(part)), model.device)
        quest = _Quest(model, onto(part, model.device), of, restarts, seed, seen)

        def told(step: int, i: int = i) -> None:
            if progress is not None:
                progress(i * steps + step, parts * steps)

        found.append(quest.run(steps, prior_weight, told))
    return Found(*(torch.cat(of) for of in zip(*found, strict=True)))


class _Quest:
    """The search for some items at once; rows of what it holds are (restarts * N, ...), item by item within each."""

    def __init__(
        self, model: Model, x: Tensor, y: Tensor | None, restarts: int, seed: int, sight: Sight | None = None
    ) -> None:
        assert isinstance(model, Latent)
        self.latent: Latent = model
        self.model: Model = model
        self.restarts, self.seed, self.sight = restarts, seed, sight
        with torch.no_grad():
            self.wanted = self._view(x) if sight is None else sight.v.flatten(1).to(model.door.precision)  # (N, D)
            self.counts = torch.ones_like(self.wanted)
            if sight is not None and sight.known is not None:
                self.counts = sight.known.flatten(1).to(self.counts)
            for field in fields_of(model.spec):  # what is missing of x may be anything
                if field.real and field.gate >= 0:
                    self.counts[:, field.start] = (~missing(self.wanted, field)).to(self.counts)
            z = self._starts(x, y)  # (restarts, N, latent)
        self.z = z.flatten(0, 1)
        self.y = None if y is None else y.repeat(restarts)

    @torch.enable_grad()
    def run(self, steps: int, prior_weight: float, told: Callable[[int], None]) -> Found:
        u = ((self.z - self.mean) / self.std).detach().requires_grad_()
        optimiser = torch.optim.Adam([u], RATE)
        best = torch.full((len(u),), torch.inf, device=u.device, dtype=u.dtype)
        best_u, error, start = u.detach().clone(), best.clone(), best.clone()
        for step in range(steps + 1):
            found = self._error(self._decode(self.mean + self.std * u, self.y))
            total = found + prior_weight * u.square().mean(1)
            with torch.no_grad():
                better = total < best
                best, error = torch.where(better, total, best), torch.where(better, found, error)
                best_u = torch.where(better[:, None], u, best_u)
                start = found.detach() if step == 0 else start
            told(step)
            if step == steps or not found.requires_grad:
                break
            optimiser.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
            (u.grad,) = torch.autograd.grad(total.sum(), u)  # of the codes alone: the networks stay as they are
            optimiser.step()
        return self._chosen(best, best_u, error, start)

    def _chosen(self, best: Tensor, best_u: Tensor, error: Tensor, start: Tensor) -> Found:
        """The best of the starts of each item."""
        of = best.unflatten(0, (self.restarts, -1)).argmin(0)
        at = of * len(self.wanted) + torch.arange(len(self.wanted), device=of.device)
        z = self.mean + self.std * best_u[at]
        with torch.no_grad():
            x_hat = self.latent.decode(z, None if self.y is None else self.y[at])
        first = start.unflatten(0, (self.restarts, -1)).amin(0)
        return Found(z.cpu(), x_hat.cpu(), error[at].cpu(), first.cpu())

    def _starts(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Codes to begin with, (restarts, N, latent); and the prior's mean and deviation, or the codes' own."""
        own: list[Tensor] = [self.model.encode(x, y)] if isinstance(self.model, Encoder) else []
        pool = prior_draws(self.model, POOL, self.seed)
        self.mean, self.std = _moments(own[0] if pool is None else pool)
        if pool is not None:
            near = self._nearest(pool, y, self.restarts - len(own))
            return torch.cat([*(z[None].to(near) for z in own), near])
        with seeded(self.seed, x.device):
            noise = torch.randn(self.restarts - 1, *own[0].shape).to(own[0])
        return torch.cat([own[0][None], own[0] + 0.5 * self.std * noise])

    def _nearest(self, pool: Tensor, y: Tensor | None, k: int) -> Tensor:
        """The k draws for each item whose G(z) is nearest to it, (k, N, latent)."""
        z = pool.new_zeros(k, len(self.wanted), pool.shape[1])
        for label in [None] if y is None else y.unique():
            items = slice(None) if label is None else y == label
            of = None if label is None else label.expand(len(pool))
            made = self._decode(pool, of)
            wanted, counts = self.wanted[items], self.counts[items]
            # |wanted - made|^2 over what counts, less what all draws share.
            distance = counts @ made.square().T - 2 * (counts * wanted) @ made.T
            z[:, items] = pool[distance.topk(k, largest=False).indices.T]
        return z

    def _decode(self, z: Tensor, y: Tensor | None) -> Tensor:
        """G(z) as errors are measured, (B, D)."""
        return self._view(self.latent.decode(z, y))

    def _view(self, x: Tensor) -> Tensor:
        seen = view(self.model.spec, x) if self.sight is None else self.sight.observe(x).flatten(1)
        return seen.to(self.model.door.precision)

    def _error(self, made: Tensor) -> Tensor:
        """Mean squared error of each row, over what counts, (restarts * N,)."""
        wrong = (made.unflatten(0, (self.restarts, -1)) - self.wanted).square()
        wrong = (wrong if self.sight is None else self.sight.cost(wrong)) * self.counts
        return (wrong.sum(2) / self.counts.sum(1).clamp(min=1)).flatten()


def _moments(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each number of codes, (latent,)."""
    std = z.std(0, correction=int(len(z) > 1))
    return z.mean(0), torch.where(std > 0, std, 1.0)
