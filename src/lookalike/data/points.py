"""Points in the plane whose true density is known: what a model learns can be held against the truth.

    mixtures    p(x) = 1/K sum_k N(x; c_k, sigma^2 I)              moons, spirals (K points along the
                                                                   curves), ring8, grid25
    rings       p(x) = 1/K sum_k |N|(r; R_k, sigma^2) / (2 pi r)   the radius is normal, the angle uniform
    squares     p(x) = 1 / area on the squares, else 0             checkerboard

Each is sampled from the very density it states, so the cross-entropy of a model less the entropy of
the truth is its divergence from the truth, KL(truth || model), and no constant is unknown.

ring8 and grid25 are where GANs are tried for lost modes (Srivastava et al. 2017, arXiv:1705.07761, section
4.1), in the sizes of Lin et al. (2018), "PacGAN", arXiv:1712.04086.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from .base import Data, hash_seed
from .tables import open_rows

SIZE = 14_000
FRACTIONS = (10_000 / SIZE, 2_000 / SIZE, 2_000 / SIZE)

EXACTLY = "donot_use_mm_for_euclid_dist"
CHUNK = 1024
"""Points whose distances to all centres are held at once."""


class Distribution(Protocol):
    """A density in the plane that can be sampled exactly."""

    def sample(self, n: int, generator: Generator) -> Tensor:
        """n draws, float64, shape (n, 2)."""
        ...

    def log_density(self, x: Tensor) -> Tensor:
        """log p(x) in nats, shape (B,), of x, shape (B, 2); -inf where the density is 0."""
        ...


@dataclass(frozen=True)
class Mixture:
    """Equal parts of round Gaussians.

    Arguments:
        centres: shape (K, 2).
        sigma: of each, in each direction.
    """

    centres: Tensor
    sigma: float

    def sample(self, n: int, generator: Generator) -> Tensor:
        chosen = torch.randint(len(self.centres), (n,), generator=generator)
        noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
        return self.centres[chosen] + self.sigma * noise

    def log_density(self, x: Tensor) -> Tensor:
        centres = self.centres.to(x)
        log_norm = math.log(2 * math.pi * self.sigma**2 * len(centres))
        # Without the matrix product: the square expanded loses the digits that a small sigma needs.
        distances = (torch.cdist(part, centres, compute_mode=EXACTLY) for part in x.split(CHUNK))
        return torch.cat([(-0.5 * (d / self.sigma).square()).logsumexp(1) for d in distances]) - log_norm


@dataclass(frozen=True)
class Rings:
    """Equal parts of rings around the origin, each the |normal| radius of its own, at a uniform angle."""

    radii: tuple[float, ...]
    sigma: float

    def sample(self, n: int, generator: Generator) -> Tensor:
        radii = torch.tensor(self.radii, dtype=torch.float64)
        chosen = torch.randint(len(radii), (n,), generator=generator)
        noise = torch.randn(n, generator=generator, dtype=torch.float64)
        angle = 2 * math.pi * torch.rand(n, generator=generator, dtype=torch.float64)
        return (radii[chosen] + self.sigma * noise).abs()[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)

    def log_density(self, x: Tensor) -> Tensor:
        r, radii = x.norm(dim=1), x.new_tensor(self.radii)
        off = torch.cat([r[:, None] - radii, r[:, None] + radii], dim=1) / self.sigma  # both signs of the normal
        log_norm = math.log(math.sqrt(2 * math.pi) * self.sigma * len(radii))
        return (-0.5 * off.square()).logsumexp(1) - log_norm - (2 * math.pi * r).log()


@dataclass(frozen=True)
class Checkerboard:
    """Uniform on every other square of a board of `cells` by `cells` around the origin, squares of side `side`."""

    cells: int = 4
    side: float = 2.0

    def sample(self, n: int, generator: Generator) -> Tensor:
        row = torch.randint(self.cells, (n,), generator=generator)
        column = 2 * torch.randint(self.cells // 2, (n,), generator=generator) + row % 2
        within = torch.rand(n, 2, generator=generator, dtype=torch.float64)
        return (torch.stack([column, row], dim=1) - self.cells / 2 + within) * self.side

    def log_density(self, x: Tensor) -> Tensor:
        cell = (x / self.side + self.cells / 2).floor()
        filled = ((cell >= 0) & (cell < self.cells)).all(1) & (cell.sum(1) % 2 == 0)
        log_area = math.log(self.cells**2 / 2 * self.side**2)
        return torch.where(filled, -log_area, -math.inf).to(x.dtype)


class Points(NamedTuple):
    """An entry of the table: one line for the catalogue, the distribution, and whether its centres are modes."""

    summary: str
    distribution: Callable[[], Distribution]
    modes: bool = False


def moons() -> Mixture:
    """Two half circles of radius 1, each around an end of the other, sigma 0.1."""
    t = math.pi * (torch.arange(100, dtype=torch.float64) + 0.5) / 100
    upper = torch.stack([t.cos(), t.sin()], dim=1)
    return Mixture(torch.cat([upper, torch.tensor([1.0, 0.5]) - upper]), 0.1)


def spirals() -> Mixture:
    """Two arms of one and a half turns, opposite each other, out to radius 3, sigma 0.1."""
    # The square root spaces the centres evenly along the arm.
    t = ((torch.arange(150, dtype=torch.float64) + 0.5) / 150).sqrt()
    arm = 3 * t[:, None] * torch.stack([(3 * math.pi * t).cos(), (3 * math.pi * t).sin()], dim=1)
    return Mixture(torch.cat([arm, -arm]), 0.1)


def ring8() -> Mixture:
    """Eight Gaussians evenly on a circle of radius 1, sigma 0.01."""
    angle = 2 * math.pi * torch.arange(8, dtype=torch.float64) / 8
    return Mixture(torch.stack([angle.cos(), angle.sin()], dim=1), 0.01)


def grid25() -> Mixture:
    """Gaussians at {-4, -2, 0, 2, 4}^2, sigma 0.05."""
    side = torch.arange(-4, 5, 2, dtype=torch.float64)
    return Mixture(torch.cartesian_prod(side, side), 0.05)


POINTS: dict[str, Points] = {
    "moons": Points("two interleaved half circles, noise 0.1", moons),
    "rings": Points("three rings of radius 1, 2 and 3, noise 0.1", lambda: Rings((1.0, 2.0, 3.0), 0.1)),
    "spirals": Points("two spiral arms, noise 0.1", spirals),
    "checkerboard": Points("uniform on 8 squares of a board of 16", Checkerboard),
    "ring8": Points("8 Gaussians on a circle of radius 1, sigma 0.01", ring8, modes=True),
    "grid25": Points("25 Gaussians on a grid of spacing 2, sigma 0.05", grid25, modes=True),
}


def open_points(name: str, *, split: tuple[float, ...] | None = None, seed: int = 0) -> Data:
    """14,000 points of the distribution of that name in `POINTS`, with its density and modes.

    Arguments:
        split: fractions of train, valid and test; None for 10,000, 2,000 and 2,000.
        seed: of the draws and the split.
    """
    entry = POINTS[name]
    distribution = entry.distribution()
    x = distribution.sample(SIZE, Generator().manual_seed(hash_seed(name, seed)))
    data = open_rows(x, name=name, split=FRACTIONS if split is None else split, seed=seed)
    modes = (distribution.centres, distribution.sigma) if entry.modes and isinstance(distribution, Mixture) else None
    return dataclasses.replace(data, log_density=distribution.log_density, modes=modes)
