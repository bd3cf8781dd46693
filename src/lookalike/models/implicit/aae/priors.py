"""What the codes of an adversarial autoencoder are to be distributed like: all that is needed is to draw from it.

    gaussian      z ~ N(0, I)
    mixture       K petals about the origin: the angle 2 pi k / K of petal k, 1.4 from the origin, deviation 0.5
                  along it and 0.1 across
    swiss-roll    angle 4 pi sqrt(u), distance 2 sqrt(u) with u ~ U[0, 1], which is even along the roll, and
                  deviation 0.05 off it
    of your own   whatever a function draws

A mixture and a roll lie in the first two numbers of the code, which have about unit variance; any others are normal.
Labels y may each be given a part of them: petal y, or u in [y / K, (y + 1) / K].

Makhzani et al. (2015), "Adversarial autoencoders", arXiv:1511.05644, section 2.3 and figure 4. It gives no numbers
for its shapes; these look like its figures. Differs from it: its roll has no thickness, which leaves no density to
be matched.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ....errors import UserError
from ..noise import normal

PriorName = Literal["gaussian", "mixture", "swiss-roll"]

MODES = 10
"""Petals of a mixture where no labels say how many."""


class Prior(nn.Module, ABC):
    """p(z), or p(z | y) of labelled parts.

    Arguments:
        latent: length of z.
        classes: of the labels that each have a part; 0 for none.
    """

    parts: ClassVar[bool] = False
    """Whether it has parts that labels can be given."""
    truncates: ClassVar[bool] = False
    """Whether it is normal, and so can be truncated."""
    precision: Tensor

    def __init__(self, latent: int, classes: int = 0) -> None:
        super().__init__()
        self.latent = latent
        self.classes = classes
        # Empty: what is drawn is where it is, and in its precision, which go with the model's.
        self.register_buffer("precision", torch.empty(0), persistent=False)

    @abstractmethod
    def forward(
        self, n: int, y: Tensor | None = None, temperature: float = 1.0, truncation: float | None = None
    ) -> Tensor:
        """n draws, shape (n, latent), with gradients to nothing.

        Arguments:
            y: whose parts to draw from, shape (n,), where labels have parts.
            temperature: below 1 for draws nearer the middle of the whole, or of each part.
            truncation: the most a number of a normal one may be, in deviations.
        """


class Gaussian(Prior):
    """z ~ N(0, temperature^2 I), perhaps truncated."""

    truncates = True

    def forward(
        self, n: int, y: Tensor | None = None, temperature: float = 1.0, truncation: float | None = None
    ) -> Tensor:
        return temperature * normal(n, self.latent, self.precision, truncation)


class Planar(Prior):
    """A shape in the plane of the first two numbers, the others normal."""

    parts = True

    def __init__(self, latent: int, classes: int = 0) -> None:
        if latent < 2:
            raise UserError(f"a mixture and a swiss-roll lie in a plane: --latent must be at least 2, but is {latent}.")
        super().__init__(latent, classes)

    def forward(
        self, n: int, y: Tensor | None = None, temperature: float = 1.0, truncation: float | None = None
    ) -> Tensor:
        z = temperature * normal(n, self.latent, self.precision)
        plane = self.place(z[:, :2], y, temperature)
        return torch.cat([plane, z[:, 2:]], dim=1)

    @abstractmethod
    def place(self, noise: Tensor, y: Tensor | None, temperature: float) -> Tensor:
        """Points of the shape, shape (n, 2), from normal noise of that temperature, shape (n, 2)."""


class Mixture(Planar):
    """Petals about the origin, one for each label where there are labels."""

    def place(self, noise: Tensor, y: Tensor | None, temperature: float) -> Tensor:
        K = self.classes or MODES
        k = torch.randint(K, (len(noise),), device=noise.device) if y is None else y
        along, across = 1.4 + 0.5 * noise[:, 0], 0.1 * noise[:, 1]
        angle = (2 * math.pi / K) * k.to(noise.dtype)
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([along * cos - across * sin, along * sin + across * cos], dim=1)


class SwissRoll(Planar):
    """Two turns of a roll, one stretch of it for each label where there are labels, from the inner end on."""

    def place(self, noise: Tensor, y: Tensor | None, temperature: float) -> Tensor:
        u = 0.5 + temperature * (torch.rand(len(noise), device=noise.device, dtype=noise.dtype) - 0.5)
        if y is not None:
            u = (y + u) / self.classes
        turned = u.clamp(min=0).sqrt()
        angle = 4 * math.pi * turned
        return 2 * turned[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1) + 0.05 * noise


class Own(Prior):
    """Draws of a function of the user's own: sampler(n), or of labels sampler(n, y), gives (n, latent)."""

    parts = True

    def __init__(self, sampler: Callable[..., Any], latent: int, classes: int = 0) -> None:
        super().__init__(latent, classes)
        self.sampler = sampler
        found = tuple(torch.as_tensor(self._draw(2, torch.zeros(2, dtype=torch.long) if classes else None)).shape)
        if found != (2, latent):
            raise UserError(f"the sampler gives shape {found} when asked for 2, but the code needs (2, {latent}).")

    def forward(
        self, n: int, y: Tensor | None = None, temperature: float = 1.0, truncation: float | None = None
    ) -> Tensor:
        if temperature != 1:
            raise UserError("a sampler of your own has no temperature: leave it at 1.")
        return torch.as_tensor(self._draw(n, y)).detach().to(self.precision)

    def _draw(self, n: int, y: Tensor | None) -> Any:
        return self.sampler(n) if y is None else self.sampler(n, y)


PRIORS: dict[PriorName, type[Prior]] = {"gaussian": Gaussian, "mixture": Mixture, "swiss-roll": SwissRoll}
