"""What keeps a discriminator's slopes in check: a price on them, added to its loss.

At some places h, with |.| the norm of each item over all of its dimensions,

    weight * (|dD/dh| - target)^2                        mean over items
    weight * max(0, |dD/dh| - target)^2                  one-sided: Petzka et al. 2018, arXiv:1709.08894

    r1, r2      at data, at samples     target 0, times 1/2     Mescheder 2018, arXiv:1801.04406
    wgan-gp     between the two         target 1                Gulrajani 2017, arXiv:1704.00028
    dragan      around data             target 1                Kodali 2017, arXiv:1705.07215

With --penalty-target 0, wgan-gp is the zero-centred penalty of Thanh-Tung et al. (2019), arXiv:1902.03984. Paid every
n-th turn only, it is n times as high (lazy regularisation, Karras et al. 2020, arXiv:1912.04958, appendix B). Differs
from the DRAGAN paper: the noise is normal with half the deviation of the batch times u ~ U[0, 1] of each item, near
what its authors' code draws.

The right weight depends on the data: 10 for images, 0.01 for standardised points. `auto` measures it: over the
first steps, with theta the discriminator's parameters and sums over these steps,

    weight = share * sum |d loss / d theta| / sum |d penalty / d theta|

so that the penalty pulls at the discriminator with a share of the objective's own force: as strongly where it can be
satisfied, by slopes of 1, and with 3 % of it where it pulls against the objective to the end, towards slopes of 0.
Ours; with these shares it lies near what was tuned by hand (in docs/gan.md), a beginning and not an end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...nn.likelihoods import precise

MEASURED = 100
"""Steps over which `auto` measures."""
SHARES = {True: 0.03, False: 1.0}
"""Of the objective's force: where the target is 0, and where it is not."""


class Penalty(NamedTuple):
    """Where the discriminator's slope is held near `target`; `factor` is the paper's before its weight."""

    summary: str
    where: tuple[str, ...] = ()
    target: float = 0.0
    factor: float = 1.0
    one_sided: bool = False


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
        critic: from h, shape (n B, ...), to logits, (n B,) or (n B, P) of which the mean counts; an item's
            logit may depend on that item only.
        real, fake: data and samples, both shape (B, ...).

    Returns:
        shape (), without the weight.
    """
    with torch.autocast(real.device.type, enabled=False):
        real, fake = (precise(h.detach()) for h in (real, fake))
        h = torch.cat([PLACES[place](real, fake) for place in penalty.where]).requires_grad_()
        logits = critic(h)
        (slope,) = torch.autograd.grad(logits.sum() * (len(h) / logits.numel()), h, create_graph=True)
        if penalty.target == 0:
            excess = slope.flatten(1).square().sum(1)  # not by the norm, which has no derivative at 0
        else:
            excess = slope.flatten(1).norm(dim=1) - penalty.target
            excess = (F.relu(excess) if penalty.one_sided else excess).square()
        return penalty.factor * len(penalty.where) * excess.mean()


class Price(nn.Module):
    """A penalty with its weight, and when it is paid.

    Arguments:
        weight: of the penalty, or "auto" to measure it over the first steps.
        every: n for every n-th turn of the discriminator, n times as high.
        halflife: steps in which the weight halves; 0 for a constant one.
    """

    forces: Tensor

    def __init__(self, penalty: Penalty, weight: float | str = 1.0, every: int = 1, halflife: int = 0) -> None:
        super().__init__()
        self.penalty = penalty
        self.weight = weight
        self.every = every
        self.halflife = halflife
        if weight == "auto":  # saved with the model: what was measured is not measured again
            self.register_buffer("forces", torch.zeros(2))

    def due(self, turn: int) -> bool:
        """Whether it is paid at that turn of the discriminator."""
        return bool(self.penalty.where) and turn % self.every == 0

    def forward(
        self,
        critic: Callable[[Tensor], Tensor],
        real: Tensor,
        fake: Tensor,
        loss: Tensor,
        step: int,
        of: Sequence[Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What is to be paid, shape (), and what to log: the penalty without its weight, and a measured weight.

        Arguments:
            critic, real, fake: as of `gradient_penalty`.
            loss: the objective's, to measure by.
            of: the discriminator's parameters.
        """
        penalty = self.every * gradient_penalty(self.penalty, critic, real, fake)
        decay = 0.5 ** (step / self.halflife) if self.halflife else 1.0
        if self.weight != "auto":
            return decay * float(self.weight) * penalty, {"penalty": penalty}
        if step < MEASURED:
            self.forces += torch.stack([_force(loss, of), _force(penalty, of)])
        weight = decay * SHARES[self.penalty.target == 0] * self.forces[0] / self.forces[1].clamp(min=1e-12)
        return weight * penalty, {"penalty": penalty, "penalty_weight": weight}


def _force(loss: Tensor, of: Sequence[Tensor]) -> Tensor:
    """|d loss / d parameters|, shape ()."""
    gradients = torch.autograd.grad(loss, of, retain_graph=True, allow_unused=True)
    return torch.stack([g.norm() for g in gradients if g is not None]).norm().float()


class PullAway(nn.Module):
    """The mean squared cosine between codes of different samples: 0 if all are orthogonal, 1 if all are alike.

        1 / (B (B - 1)) sum_i sum_{j != i} (s_i . s_j / |s_i| |s_j|)^2

    Zhao et al. (2016), arXiv:1609.03126, eq. 6.

    Arguments:
        weight: in the generator's loss.
    """

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, codes: Tensor) -> Tensor:
        """The term without its weight, shape (), of codes, shape (B, ...)."""
        directions = F.normalize(precise(codes).flatten(1), dim=1)
        B = len(directions)
        cosines = directions @ directions.T
        others = cosines.square().sum() - cosines.diagonal().square().sum()
        return others / max(1, B * (B - 1))
