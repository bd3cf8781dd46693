"""What a discriminator and a generator are each after, and what keeps the discriminator's slopes in check.

With r = D(x) on data and f = D(G(z)) on samples, both logits, and softplus(t) = log(1 + e^t):

                    discriminator                          generator
    minimax         softplus(-r) + softplus(f)             -softplus(f)             Goodfellow 2014, eq. 1
    nonsaturating   the same                               softplus(-f)             Goodfellow 2014, section 3
    lsgan           ((r - 1)^2 + f^2) / 2                  (f - 1)^2 / 2            Mao 2017
    hinge           max(0, 1 - r) + max(0, 1 + f)          -f                       Lim & Ye 2017
    wasserstein     f - r                                  -f                       Arjovsky 2017
    relativistic    softplus(f - r), in pairs              softplus(r - f)          Huang 2024, eq. 2

A penalty is added to the discriminator's side: at some places h, (|dD/dh| - target)^2, the norm of each
item over all of its dimensions,

    r1, r2      at data, at samples     target 0, times 1/2     Mescheder 2018, arXiv:1801.04406
    wgan-gp     between the two         target 1                Gulrajani 2017, arXiv:1704.00028
    dragan      around data             target 1                Kodali 2017, arXiv:1705.07215

Goodfellow et al. (2014), arXiv:1406.2661; Mao et al. (2017), arXiv:1611.04076; Lim & Ye (2017),
arXiv:1705.02894; Arjovsky et al. (2017), arXiv:1701.07875; Huang et al. (2024), "The GAN is dead; long
live the GAN!", arXiv:2501.05441. Differs from the DRAGAN paper: the noise is normal with half the
deviation of the batch times u ~ U[0, 1] of each item, near what its authors' code draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ...nn.likelihoods import precise


class Objective(NamedTuple):
    """A pair of losses, each shape (), of logits, each shape (B,).

    Arguments:
        discriminator: of (real_logits, fake_logits).
        generator: of (fake_logits, real_logits).
        equilibrium: the discriminator's loss at its best where samples and data are alike.
        relative: whether the generator's loss looks at real_logits.
        bounded: whether the discriminator's loss is bounded below with no limit on its slopes.
    """

    summary: str
    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    equilibrium: float
    relative: bool = False
    bounded: bool = True


def _cross_entropy(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


ObjectiveName = Literal["minimax", "nonsaturating", "lsgan", "hinge", "wasserstein", "relativistic"]

OBJECTIVES: dict[str, Objective] = {
    "minimax": Objective(
        "the original game; its generator learns slowly while it is losing",
        discriminator=_cross_entropy,
        generator=lambda fake, _: -F.softplus(fake).mean(),
        equilibrium=2 * math.log(2),
    ),
    "nonsaturating": Objective(
        "the original discriminator; the generator maximises log D, so that it learns while it is losing",
        discriminator=_cross_entropy,
        generator=lambda fake, _: F.softplus(-fake).mean(),
        equilibrium=2 * math.log(2),
    ),
    "lsgan": Objective(
        "least squares to the labels 0 and 1",
        discriminator=lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
        generator=lambda fake, _: (fake - 1).square().mean() / 2,
        equilibrium=1 / 4,
    ),
    "hinge": Objective(
        "only logits within the margin teach the discriminator",
        discriminator=lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        generator=lambda fake, _: -fake.mean(),
        equilibrium=2.0,
    ),
    "wasserstein": Objective(
        "the earth mover's distance, as long as the discriminator's slopes are at most 1",
        discriminator=lambda real, fake: fake.mean() - real.mean(),
        generator=lambda fake, _: -fake.mean(),
        equilibrium=0.0,
        bounded=False,
    ),
    "relativistic": Objective(
        "each sample is judged against an item of the data, which leaves no mode to be dropped",
        discriminator=lambda real, fake: F.softplus(fake - real).mean(),
        generator=lambda fake, real: F.softplus(real - fake).mean(),
        equilibrium=math.log(2),
        relative=True,
    ),
}


class Penalty(NamedTuple):
    """Where the discriminator's slope is held near `target`; `factor` is the paper's before its weight."""

    summary: str
    where: tuple[str, ...] = ()
    target: float = 0.0
    factor: float = 1.0


PenaltyName = Literal["none", "r1", "r2", "r1+r2", "wgan-gp", "dragan"]

PENALTIES: dict[str, Penalty] = {
    "none": Penalty("slopes are free"),
    "r1": Penalty("flat at the data", ("real",), factor=0.5),
    "r2": Penalty("flat at the samples", ("fake",), factor=0.5),
    "r1+r2": Penalty("flat at the data and at the samples", ("real", "fake"), factor=0.5),
    "wgan-gp": Penalty("slope 1 between samples and data", ("between",), target=1.0),
    "dragan": Penalty("slope 1 around the data", ("around",), target=1.0),
}


def _coefficient(h: Tensor) -> Tensor:
    """u ~ U[0, 1], one for each item, shape (B, 1, ...)."""
    return torch.rand(len(h), *[1] * (h.dim() - 1), device=h.device, dtype=h.dtype)


PLACES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "real": lambda real, _: real,
    "fake": lambda _, fake: fake,
    "between": lambda real, fake: torch.lerp(real, fake, _coefficient(real)),
    "around": lambda real, _: real + real.std(correction=0) / 2 * _coefficient(real) * torch.randn_like(real),
}


def gradient_penalty(penalty: Penalty, critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """The mean over items of (|dD/dh| - target)^2, summed over the penalty's places; differentiable.

    It is computed in at least float32 whatever the surroundings: half precision loses second derivatives.

    Arguments:
        critic: from h, shape (n B, ...), to logits; an item's logit may depend on that item only.
        real, fake: data and samples, both shape (B, ...).

    Returns:
        shape (), without the weight.
    """
    with torch.autocast(real.device.type, enabled=False):
        real, fake = (precise(h.detach()) for h in (real, fake))
        h = torch.cat([PLACES[place](real, fake) for place in penalty.where]).requires_grad_()
        (slope,) = torch.autograd.grad(critic(h).sum(), h, create_graph=True)
        if penalty.target == 0:
            excess = slope.flatten(1).square().sum(1)  # not by the norm, which has no derivative at 0
        else:
            excess = (slope.flatten(1).norm(dim=1) - penalty.target).square()
        return penalty.factor * len(penalty.where) * excess.mean()
