"""What a discriminator and a generator are each after: the objectives, shared by every adversarial family.

With r = D(x) on data and f = D(G(z)) on samples, both logits, softplus(t) = log(1 + e^t), [t]+ = max(0, t), a bar
for the mean over the batch, and E = -r, -f the energy of an autoencoder, its error:

                           discriminator                           generator        best   arXiv
    minimax                softplus(-r) + softplus(f)              -softplus(f)     2 log 2    1406.2661 eq. 1
    nonsaturating          the same                                softplus(-f)     2 log 2    1406.2661 section 3
    lsgan                  ((r - b)^2 + (f - a)^2) / 2             (f - c)^2 / 2    (b - a)^2 / 4   1611.04076
    hinge                  [1 - r]+ + [1 + f]+                     -f               2          1705.02894
    wasserstein            f - r                                   -f               0          1701.07875
    relativistic           softplus(f - r), in pairs               softplus(r - f)  log 2      2501.05441 eq. 2
    relativistic-average   softplus(f̄ - r) + softplus(f - r̄)       r, f exchanged   2 log 2    1807.00734
    energy                 E(x) + [margin - E(G(z))]+              E(G(z))          margin     1609.03126
    boundary               E(x) - k E(G(z)), k moved by balance    E(G(z))          0          1703.10717

`best` is the discriminator's loss at equilibrium: samples and data are alike, and it does as well as it can.
Data get a higher logit than samples in all of them. Goodfellow et al. (2014); Mao et al. (2017); Lim & Ye (2017);
Arjovsky et al. (2017); Huang et al. (2024), "The GAN is dead; long live the GAN!"; Jolicoeur-Martineau (2018); Zhao,
Mathieu & LeCun (2016), EBGAN, whose theorem 1 has the margin; Berthelot, Schumm & Metz (2017), BEGAN. With one-sided
label smoothing s (Salimans et al. 2016, arXiv:1606.03498, section 3.4) data have (1 - s) softplus(-r) + s softplus(r).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from torch import Tensor
from torch.nn import functional as F

from ...errors import UserError

Loss = Callable[[Tensor, Tensor], Tensor]


class Objective(NamedTuple):
    """A pair of losses, each shape (), of logits: shape (B,), or (B, P) of P patches an item.

    Arguments:
        discriminator: of (real_logits, fake_logits).
        generator: of (fake_logits, real_logits).
        slope: d generator / d fake of one pair (fake, real) in closed form, elementwise.
        equilibrium: the discriminator's loss at its best where samples and data are alike.
        reads: what of logits counts: their "signs" (data above a fixed value, samples below), only the
            "differences" between them, or "energies" (a logit is minus an energy, never above 0).
        relative: whether the generator's loss looks at real_logits.
        bounded: whether the discriminator's loss is bounded below with no limit on its slopes.
        balanced: whether a controller weighs the logits of samples (`gan.balance`).
    """

    summary: str
    discriminator: Loss
    generator: Loss
    slope: Loss
    equilibrium: float
    reads: Literal["signs", "differences", "energies"] = "signs"
    relative: bool = False
    bounded: bool = True
    balanced: bool = False


def _discriminating(smoothing: float) -> tuple[Loss, float]:
    """The cross-entropy of the discriminator, where data are labelled 1 - smoothing; and its best."""

    def loss(real: Tensor, fake: Tensor) -> Tensor:
        value = F.softplus(-real).mean() + F.softplus(fake).mean()
        return value + smoothing * real.mean() if smoothing else value  # softplus(r) = softplus(-r) + r

    p = (1 - smoothing) / 2  # what it says of all where it knows nothing
    return loss, -2 * (p * math.log(p) + (1 - p) * math.log(1 - p))


def minimax(smoothing: float = 0.0) -> Objective:
    loss, best = _discriminating(smoothing)
    return Objective(
        "the original game; its generator learns slowly while it is losing",
        discriminator=loss,
        generator=lambda fake, _: -F.softplus(fake).mean(),
        slope=lambda fake, _: -fake.sigmoid(),
        equilibrium=best,
    )


def nonsaturating(smoothing: float = 0.0) -> Objective:
    loss, best = _discriminating(smoothing)
    return Objective(
        "the original discriminator; the generator maximises log D, so that it learns while it is losing",
        discriminator=loss,
        generator=lambda fake, _: F.softplus(-fake).mean(),
        slope=lambda fake, _: -(-fake).sigmoid(),
        equilibrium=best,
    )


def least_squares(coding: tuple[float, float, float] = (0.0, 1.0, 1.0)) -> Objective:
    """Samples to a, data to b; the generator wants c. Pearson's chi-squared has b - c = 1, b - a = 2 (section 3.3)."""
    a, b, c = coding
    return Objective(
        "least squares to labels, by default 0 and 1",
        discriminator=lambda real, fake: ((real - b).square().mean() + (fake - a).square().mean()) / 2,
        generator=lambda fake, _: (fake - c).square().mean() / 2,
        slope=lambda fake, _: fake - c,
        equilibrium=(b - a) ** 2 / 4,
    )


def energy(margin: float = 1.0) -> Objective:
    return Objective(
        "an autoencoder's error: low at data, pushed up to the margin at samples (EBGAN)",
        discriminator=lambda real, fake: F.relu(margin + fake).mean() - real.mean(),
        generator=lambda fake, _: -fake.mean(),
        slope=lambda fake, _: fake.new_tensor(-1.0).expand_as(fake),
        equilibrium=margin,
        reads="energies",
    )


ObjectiveName = Literal[
    "minimax",
    "nonsaturating",
    "lsgan",
    "hinge",
    "wasserstein",
    "relativistic",
    "relativistic-average",
    "energy",
    "boundary",
]

OBJECTIVES: dict[str, Objective] = {
    "minimax": minimax(),
    "nonsaturating": nonsaturating(),
    "lsgan": least_squares(),
    "hinge": Objective(
        "only logits within the margin teach the discriminator",
        discriminator=lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        generator=lambda fake, _: -fake.mean(),
        slope=lambda fake, _: fake.new_tensor(-1.0).expand_as(fake),
        equilibrium=2.0,
    ),
    "wasserstein": Objective(
        "the earth mover's distance, as long as the discriminator's slopes are at most 1",
        discriminator=lambda real, fake: fake.mean() - real.mean(),
        generator=lambda fake, _: -fake.mean(),
        slope=lambda fake, _: fake.new_tensor(-1.0).expand_as(fake),
        equilibrium=0.0,
        reads="differences",
        bounded=False,
    ),
    "relativistic": Objective(
        "each sample is judged against an item of the data, which leaves no mode to be dropped",
        discriminator=lambda real, fake: F.softplus(fake - real).mean(),
        generator=lambda fake, real: F.softplus(real - fake).mean(),
        slope=lambda fake, real: -(real - fake).sigmoid(),
        equilibrium=math.log(2),
        reads="differences",
        relative=True,
    ),
    "relativistic-average": Objective(
        "each logit is judged against the mean of the other side",
        discriminator=lambda real, fake: F.softplus(fake.mean() - real).mean() + F.softplus(fake - real.mean()).mean(),
        generator=lambda fake, real: F.softplus(real.mean() - fake).mean() + F.softplus(real - fake.mean()).mean(),
        slope=lambda fake, real: -2 * (real - fake).sigmoid(),
        equilibrium=2 * math.log(2),
        reads="differences",
        relative=True,
    ),
    "energy": energy(),
    "boundary": Objective(
        "an autoencoder's error at samples is held at a share of that at data (BEGAN)",
        discriminator=lambda real, fake: fake.mean() - real.mean(),  # fake is k f by then
        generator=lambda fake, _: -fake.mean(),
        slope=lambda fake, _: fake.new_tensor(-1.0).expand_as(fake),
        equilibrium=0.0,
        reads="energies",
        balanced=True,
    ),
}

WITH_NUMBERS: Mapping[str, Callable[..., Objective]] = {
    "minimax": minimax,
    "nonsaturating": nonsaturating,
    "lsgan": least_squares,
    "energy": energy,
}
"""The objectives that have numbers of their own."""


def objective(name: str, **numbers: float | tuple[float, ...] | None) -> Objective:
    """The objective of that name, with numbers of its own (coding, margin, smoothing) where they are given.

    Raises:
        UserError: it has no such number.
    """
    given = {number: value for number, value in numbers.items() if value is not None}
    takes = {n: tuple(inspect.signature(make).parameters) for n, make in WITH_NUMBERS.items()}
    for number in given:
        if number not in takes.get(name, ()):
            having = " and ".join(n for n, those in takes.items() if number in those)
            raise UserError(f"--{number} is a number of {having}, and the objective is {name}: leave it out.")
    return WITH_NUMBERS[name](**given) if given else OBJECTIVES[name]
