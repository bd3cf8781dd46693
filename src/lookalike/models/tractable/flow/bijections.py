"""Invertible maps whose Jacobian determinant is cheap, and how they are put together.

    Chain       one after the other                                      log |det| adds up
    Inverse     the other way round                                      log |det| of the map, with the sign changed
    ActNorm     z = (x + shift) * exp(log_scale), a number a channel     log |det| = sum of log_scale
    Linear      z = P L U x, channels mixed at each place                log |det| = sum of log |U_cc|, for each place
    Flatten     the same numbers in another shape                        0

ActNorm and the 1x1 convolution in its LU form, P fixed, L with ones and U with exp(log_scale) * sign on its
diagonal: Kingma & Dhariwal (2018), "Glow", arXiv:1807.03039, sections 3.1 and 3.2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ....nn.firstbatch import FromFirstBatch, moments


class Bijection(nn.Module, ABC):
    """An invertible map z = f(x) of one item's numbers, and log |det dz/dx|; f may depend on a context.

    The context is (B, K), the same at each place of an image, or (B, K, H, W) beside an image of that size.
    """

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z, and log_det, shape (B,)."""

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """The x of z."""


class Chain(Bijection):
    """Bijections one after the other."""

    def __init__(self, bijections: Sequence[Bijection]) -> None:
        super().__init__()
        self.bijections = nn.ModuleList(bijections)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_det = x.new_zeros(len(x))
        for bijection in self.bijections:
            x, more = bijection(x, context)
            log_det = log_det + more
        return x, log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        for bijection in reversed(list(self.bijections)):
            assert isinstance(bijection, Bijection)
            z = bijection.inverse(z, context)
        return z


class Inverse(Bijection):
    """A bijection the other way round."""

    def __init__(self, bijection: Bijection) -> None:
        super().__init__()
        self.bijection = bijection

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.bijection.inverse(x, context)
        return z, -self.bijection(z, context)[1]

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        x: Tensor = self.bijection(z, context)[0]
        return x


class ActNorm(Bijection, FromFirstBatch):
    """A shift and a scale for each channel, set once so that the first batch comes out standardised.

    `initialised` is saved with the weights: a model that is loaded or resumed keeps what it learnt.
    """

    initialised: Tensor

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        shape = (channels, *[1] * (dims - 1))
        self.shift = nn.Parameter(torch.zeros(shape))
        self.log_scale = nn.Parameter(torch.zeros(shape))
        self.register_buffer("initialised", torch.tensor(False))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = (x + self.shift) * self.log_scale.exp()
        log_det = self.log_scale.sum() * x[0, 0].numel()
        return z, log_det.expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z * (-self.log_scale).exp() - self.shift

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """As `FromFirstBatch.initialise`, by the mean and deviation of x, shape (B, *)."""
        if self.initialised:
            return
        mean, variance = moments(x)
        self.shift.copy_(-mean.view_as(self.shift))
        self.log_scale.copy_(-0.5 * variance.log().view_as(self.log_scale))
        self.initialised.fill_(True)


class Linear(Bijection):
    """Channels (or columns) mixed by one learnt matrix, a rotation at first."""

    order: Tensor
    sign: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        P, L, U = torch.linalg.lu(torch.linalg.qr(torch.randn(channels, channels))[0])
        diagonal = U.diagonal()
        self.register_buffer("order", P.argmax(1))
        self.register_buffer("sign", diagonal.sign())
        self.lower = nn.Parameter(L.tril(-1))
        self.upper = nn.Parameter(U.triu(1))
        self.log_scale = nn.Parameter(diagonal.abs().log())

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        L, U = self._triangles()
        z = torch.einsum("ij,bj...->bi...", (L @ U)[self.order], x)
        return z, (self.log_scale.sum() * x[0, 0].numel()).expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        L, U = self._triangles()
        flat = z.movedim(1, 0).flatten(1)[self.order.argsort()]  # (channels, B * places)
        flat = torch.linalg.solve_triangular(L, flat, upper=False, unitriangular=True)
        x = torch.linalg.solve_triangular(U, flat, upper=True)
        return x.view(x.shape[0], len(z), *z.shape[2:]).movedim(0, 1)

    def _triangles(self) -> tuple[Tensor, Tensor]:
        L = self.lower.tril(-1) + torch.eye(len(self.sign), dtype=self.sign.dtype, device=self.sign.device)
        return L, self.upper.triu(1) + torch.diag(self.sign * self.log_scale.exp())


class Flatten(Bijection):
    """(B, *shape) to (B, numbers)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x.flatten(1), x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z.unflatten(1, self.shape)
