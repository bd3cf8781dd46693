"""RealNVP: data from Gaussian noise by a map that can be run backwards, its density by change of variables.

    z = f(v)        log p(v) = log N(z; 0, I) + log |det dz/dv|        x = f^-1(z),  z ~ N(0, I)

f is a chain of affine couplings (`bijections`); v is x, or x made continuous where it is discrete or may
be missing (`dequantise`). One pass scores, one pass samples, and the code z of x is unique.

Dinh et al. (2017), "Density estimation using Real NVP", arXiv:1605.08803.
Differs from the paper: ActNorm instead of batch normalisation between couplings, so that log p(x) of one
item does not depend on the rest of its batch; residual networks without normalisation; the order of
masks and squeezes (see `MultiScale`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor, nn

from ....nn.mlp import ResidualMLP
from ....nn.own import checked
from ....nn.resnet import ResidualConv
from ....options import Range
from ....spec import Spec
from ...base import Encoder, Explicit, Turn, seeded
from .bijections import Bijection, Conditioner, MultiScale, couplings, initialising
from .dequantise import Dequantise


class RealNVP(Explicit, Encoder):
    """RealNVP for points, tables and images of any size; a single column is modelled by one Gaussian.

    `log_prob` is exact for points and for tables of numbers only. Elsewhere it is a draw of the bound: its
    mean over the dequantisation noise is the lower bound on log p(x).

    Arguments:
        couplings: in all; for images at each scale.
        width: of the network in a coupling.
        depth: residual blocks in the network of a coupling.
        scales: of an image; at each the sides are halved and half of the numbers are done.
        conditioner: instead of those networks, your own: `conditioner(inputs, outputs)` makes one that takes
            (B, inputs, ...) to (B, outputs, ...) with the rest of the shape as it was.
    """

    bf16 = False  # its three digits would make the way back another map than the way there

    def __init__(
        self,
        spec: Spec,
        *,
        couplings: Annotated[int, Range(1)] = 8,
        width: Annotated[int, Range(1)] = 64,
        depth: Annotated[int, Range(0)] = 2,
        scales: Annotated[int, Range(1)] = 3,
        conditioner: Conditioner | None = None,
    ) -> None:
        super().__init__(spec)
        self.dequantise = Dequantise(spec)
        shape = self.dequantise.shape
        rows = len(shape) == 1
        if conditioner is None:
            conditioner = _residual(ResidualMLP if rows else ResidualConv, width, depth)
        else:
            conditioner = _own(conditioner, () if rows else (4, 4))
        self.latent = math.prod(shape)
        self.bijection = (
            _of_rows(self.latent, couplings, conditioner) if rows else MultiScale(shape, scales, couplings, conditioner)
        )

    @property
    def exact(self) -> bool:
        return self.dequantise.exact

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        if step == 0:
            with initialising(self.bijection), torch.no_grad():
                self.log_prob(x)
        yield from super().turns(x, y, step)

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.log_prob_given(x, self._uniform(x))

    def log_prob_given(self, x: Tensor, u: Tensor) -> Tensor:
        """`log_prob` with the dequantisation noise u in (0, 1) given, shape (B, *self.dequantise.shape)."""
        v, log_weight = self.dequantise(x, u)
        z, log_det = self.bijection(v)
        log_normal = -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
        return log_normal + log_det + log_weight

    def sample(self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        with seeded(seed, self.device), torch.no_grad():
            z = torch.randn(n, self.latent, dtype=self.door.precision.dtype, device=self.device)
            return self.decode(temperature * z)

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The code of x, shape (B, latent); of something discrete, that of the middle of its bin."""
        u = torch.full_like(self._uniform(x), 0.5)
        z: Tensor = self.bijection(self.dequantise(x, u)[0])[0]
        return z

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.dequantise.inverse(self.bijection.inverse(z))

    def _uniform(self, x: Tensor) -> Tensor:
        """Noise in (0, 1), shape (B, *self.dequantise.shape), off both ends by what float32 can tell."""
        u = torch.rand(len(x), *self.dequantise.shape, dtype=self.door.precision.dtype, device=x.device)
        return u.clamp(1e-6, 1 - 1e-6)


def _of_rows(columns: int, count: int, conditioner: Conditioner) -> Bijection:
    """Couplings with random halves of the columns in turn, each half and then the other."""
    masks = []
    for i in range(count):
        if i % 2 == 0:
            order = torch.randperm(columns, generator=torch.Generator().manual_seed(i))
            mask = (order < columns // 2).long()
        masks.append(mask if i % 2 == 0 else 1 - mask)
    return couplings(masks, columns, 1, conditioner)


def _residual(network: type[ResidualMLP] | type[ResidualConv], width: int, depth: int) -> Conditioner:
    """Makes residual networks whose output is 0 at first."""

    def make(inputs: int, outputs: int) -> nn.Module:
        made = network(inputs, outputs, width, depth)
        for parameter in made.leave.parameters():
            nn.init.zeros_(parameter)
        return made

    return make


def _own(conditioner: Conditioner, sides: tuple[int, ...]) -> Conditioner:
    """The user's own networks, each tried once on data with these sides."""

    def make(inputs: int, outputs: int) -> nn.Module:
        return checked(conditioner(inputs, outputs), "network of a coupling", (inputs, *sides), (outputs, *sides))

    return make
