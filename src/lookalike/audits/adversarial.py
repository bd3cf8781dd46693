"""Adversarial models: the objective's constant, its slopes, the penalty's closed forms, and what holds a discriminator.

    loss(c, c), c at its best            =  the objective's equilibrium
    d generator's loss / d logit         =  its closed form, also where D is near 0: whether it saturates
    penalty of  D(h) = w . h, |w| = 1    =  factor (1 - target)^2 at each place: 0 where the target is 1
    penalty of  D(h) = a / 2 |h|^2       =  factor a^2 mean |h|^2 where the target is 0
    largest singular value of a weight   =  1 under the spectral constraint;   |weight| <= bound under clip

All is asked of the parts a model trains with. Gulrajani et al. (2017), arXiv:1704.00028; Mescheder et al. (2018),
arXiv:1801.04406; Miyato et al. (2018), arXiv:1802.05957; Zhao et al. (2016), arXiv:1609.03126, eq. 6.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from ..models.base import seeded
from ..models.implicit.gan.gan import GAN
from ..models.implicit.penalties import PENALTIES, Price
from .base import Finding, Subject, UnfitError, largest

NO_GAME = "{} has no generator that plays against a discriminator of items"
BATCHES = (1, 2, 5)
CURVATURE = 1.7
POWERS = 500
"""Power iterations, after which a singular value is exact."""


def _game(subject: Subject) -> GAN:
    if not isinstance(subject.model, GAN):
        raise UnfitError(NO_GAME.format(type(subject.model).__name__))
    return copy.deepcopy(subject.model).double()


def equilibrium(subject: Subject) -> Finding:
    """The discriminator's loss where samples are like data and it does its best, against the objective's constant."""
    model = _game(subject)
    low, high = -8.0, 0.0 if model.objective.reads == "energies" else 8.0

    def loss(c: float) -> float:
        logits = torch.full((3,), c, dtype=torch.float64)
        return model.loss_of(logits, logits)[0].item()

    for _ in range(100):  # the losses are convex: a third of the range goes each time
        a, b = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, b) if loss(a) <= loss(b) else (a, high)
    best = loss((low + high) / 2)
    constant = model.equilibrium
    return Finding(abs(best - constant), 1e-6, f"its best is {best:.6g}, the objective's constant is {constant:.6g}")


def saturation(subject: Subject) -> Finding:
    """The slope of the generator's loss against its closed form; how steep it is where D is near 0 is said."""
    objective = _game(subject).objective
    differences, real = [], torch.zeros((), dtype=torch.float64)
    for logit in (-20.0, -5.0, 0.0, 1.0):
        fake = torch.tensor(logit, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(objective.generator(fake[None], real[None]), fake)
        differences.append(slope - objective.slope(fake.detach(), real))
        if logit == -20.0:
            steep = slope.abs().item()
    words = "it saturates" if steep < 1e-6 else "it does not saturate"
    return Finding(largest(*differences), 1e-9, f"at a logit of -20 the slope is {steep:.3g}: {words}")


def penalties(subject: Subject) -> Finding:
    """A linear and a quadratic discriminator of items like the model's, each paying what the closed form says."""
    model = _game(subject)
    shape = model.door.shape
    differences, tried = [], 0
    with seeded(subject.seed, model.device):
        w = torch.randn(shape, dtype=torch.float64)
        w = w / w.norm()
        # The model's own, and each by its name: a discriminator of slope 1 pays to none that is centred there.
        for price in (model.price, *(Price(penalty) for penalty in PENALTIES.values())):
            for B in BATCHES if price.penalty.where else ():
                real, fake = torch.randn(2, B, *shape, dtype=torch.float64)
                differences += [_linear(price, w, real, fake), *_quadratic(price, real, fake)]
                tried += 1
    own = "the model's own and those of the table" if model.price.penalty.where else "those of the table"
    return Finding(largest(*differences), 1e-8, f"{own}, {tried} batches of 1 to {BATCHES[-1]} items of {tuple(shape)}")


def _linear(price: Price, w: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    penalty = price.penalty
    beyond = 1.0 - penalty.target
    excess = max(0.0, beyond) if penalty.one_sided else beyond
    return _paid(price, (w, torch.zeros(())), real, fake) - penalty.factor * len(penalty.where) * excess**2


def _quadratic(price: Price, real: Tensor, fake: Tensor) -> Iterator[Tensor]:
    penalty, places = price.penalty, {"real": real, "fake": fake}
    if penalty.target == 0 and set(penalty.where) <= set(places):
        squares = [places[place].flatten(1).square().sum(1).mean() for place in penalty.where]
        curvature = torch.tensor(CURVATURE, dtype=torch.float64)
        paid = _paid(price, (torch.zeros_like(real[0]), curvature), real, fake)
        yield paid - penalty.factor * CURVATURE**2 * torch.stack(squares).sum()


def _paid(price: Price, critic: tuple[Tensor, Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """The penalty, without its weight, of D(h) = w . h + a / 2 |h|^2."""
    w, a = critic
    one = torch.ones((), dtype=torch.float64, requires_grad=True)

    def logits(h: Tensor) -> Tensor:
        return one * ((h * w).flatten(1).sum(1) + a / 2 * h.flatten(1).square().sum(1))

    _, said = copy.deepcopy(price)(logits, real, fake, logits(fake).mean(), 0, [one])
    return said["penalty"].detach() / price.every


def apart(subject: Subject) -> Finding:
    """The pull-away term of orthogonal codes, 0, and of codes that are alike, 1."""
    model = _game(subject)
    if model.pull_away is None:
        raise UnfitError("its objective has no pull-away term")
    with seeded(subject.seed, model.device):
        orthogonal = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q * torch.rand(6, 1, dtype=torch.float64)
        alike = torch.randn(1, 6, dtype=torch.float64) * torch.tensor([[1.0], [2.0], [-0.5]], dtype=torch.float64)
    found = model.pull_away(orthogonal), model.pull_away(alike) - 1
    return Finding(largest(*found), 1e-9, "0 of six orthogonal codes, 1 of three that are alike")


def spectral(subject: Subject) -> Finding:
    """The largest singular value of each weight under the spectral constraint, by its whole decomposition: 1."""
    discriminator = _game(subject).discriminator.train()  # power iterations are made in training only
    held = [m for m in discriminator.modules() if is_parametrized(m, "weight")]
    if not held:
        raise UnfitError("its discriminator has no spectral constraint")
    with torch.no_grad():
        differences = [_largest_singular(module) - 1 for module in held]
    return Finding(largest(*differences), 1e-3, f"{len(held)} weights, after {POWERS} power iterations")


def _largest_singular(module: nn.Module) -> Tensor:
    for _ in range(POWERS):
        weight = module.weight
    assert isinstance(weight, Tensor)
    if isinstance(module, nn.ConvTranspose2d):
        weight = weight.transpose(0, 1)
    return torch.linalg.matrix_norm(weight.flatten(1), 2)


def clipped(subject: Subject) -> Finding:
    """By how much a weight is beyond the bound after the discriminator has moved."""
    model = _game(subject)
    bound, beyond = model.bound, []
    if not bound:
        raise UnfitError("its discriminator's weights have no bound")
    with seeded(subject.seed, model.device):
        for _ in model.train().turns(subject.x.double(), subject.y, 0):
            weights = torch.cat([p.detach().flatten() for p in model.discriminator.parameters()])
            beyond.append((weights.abs().max() - bound).clamp(min=0))
            with torch.no_grad():
                for p in model.discriminator.parameters():
                    p.add_(torch.randn_like(p))  # a move, and a wild one
    return Finding(largest(*beyond[1:]), 1e-12, f"weights within {bound:g} after each move")
