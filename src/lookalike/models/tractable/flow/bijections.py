"""Invertible maps whose Jacobian determinant is cheap, and how they are put together.

    Coupling    z = x                               where m = 1          log |det dz/dx| = sum of s where m = 0
                z = x * exp(s(m x)) + t(m x)        where m = 0
    ActNorm     z = (x + shift) * exp(log_scale), a number a channel     log |det| = sum of log_scale
    Chain       one after the other                                      log |det| adds up
    MultiScale  couplings, then half of what there is is z already and the rest goes on at half the size

Dinh et al. (2017), "Density estimation using Real NVP", arXiv:1605.08803; ActNorm of Kingma & Dhariwal
(2018), "Glow", arXiv:1807.03039. How `MultiScale` differs from the paper is said there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from ....nn.likelihoods import precise

Conditioner = Callable[[int, int], nn.Module]
"""Makes the network of a coupling for so many inputs and outputs (columns, or channels of an image)."""


class Bijection(nn.Module, ABC):
    """An invertible map z = f(x) of one item's numbers, and log |det dz/dx|."""

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z, and log_det, shape (B,)."""

    @abstractmethod
    def inverse(self, z: Tensor) -> Tensor:
        """The x of z."""


class Chain(Bijection):
    """Bijections one after the other."""

    def __init__(self, bijections: Sequence[Bijection]) -> None:
        super().__init__()
        self.bijections = nn.ModuleList(bijections)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_det = x.new_zeros(len(x))
        for bijection in self.bijections:
            x, more = bijection(x)
            log_det = log_det + more
        return x, log_det

    def inverse(self, z: Tensor) -> Tensor:
        for bijection in reversed(list(self.bijections)):
            assert isinstance(bijection, Bijection)
            z = bijection.inverse(z)
        return z


class Coupling(Bijection):
    """Affine coupling: what the mask hides is scaled and shifted by a function of what it shows.

    Arguments:
        mask: 1 where x is kept, as wide as x: shape (D,), (C, 1, 1) or (1, H, W).
        channels: columns or channels of x.
        conditioner: makes the network, which should give 0 at first: then the coupling starts as the identity.
        bound: of |s|, approached smoothly (as the paper's tanh), so that no layer can blow up its inverse.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, channels: int, conditioner: Conditioner, bound: float = 3.0) -> None:
        super().__init__()
        self.register_buffer("mask", mask.to(torch.get_default_dtype()))
        self.network = conditioner(channels, 2 * channels)
        self.bound = bound

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        s, t = self._scale_and_shift(x)
        return x * s.exp() + t, s.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        s, t = self._scale_and_shift(z)  # z is x where the network looks
        return (z - t) * (-s).exp()

    def _scale_and_shift(self, x: Tensor) -> tuple[Tensor, Tensor]:
        s, t = precise(self.network(x * self.mask)).chunk(2, dim=1)
        hidden = 1 - self.mask
        return self.bound * (s / self.bound).tanh() * hidden, t * hidden


SAME = 1e-6
"""Variance up to which a channel is taken to be constant in a batch."""

LEAST_VARIANCE = 1e-2
"""The smallest variance an ActNorm makes 1 of."""


class ActNorm(Bijection):
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

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = (x + self.shift) * self.log_scale.exp()
        log_det = self.log_scale.sum() * x[0, 0].numel()
        return z, log_det.expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        return z * (-self.log_scale).exp() - self.shift

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Shift and scale by the mean and deviation of x, shape (B, *), over all processes; only once."""
        if self.initialised:
            return
        others = [0, *range(2, x.dim())]
        moments = torch.stack([x.mean(others), x.square().mean(others)])
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(moments)
            moments /= distributed.get_world_size()
        mean, square = moments.unflatten(1, self.shift.shape)
        self.shift.copy_(-mean)
        # A column that is almost constant in one batch is not so in the next: its scale is not taken from it.
        variance = square - mean.square()
        variance = torch.where(variance > SAME, variance.clamp(min=LEAST_VARIANCE), 1.0)
        self.log_scale.copy_(-0.5 * variance.log())
        self.initialised.fill_(True)


@contextmanager
def initialising(flow: nn.Module) -> Iterator[None]:
    """Inside, each ActNorm of `flow` that was not yet is initialised by what comes to it first."""
    norms = [module for module in flow.modules() if isinstance(module, ActNorm)]
    hooks = [norm.register_forward_pre_hook(lambda norm, args: norm.initialise(args[0])) for norm in norms]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def couplings(masks: Sequence[Tensor], channels: int, dims: int, conditioner: Conditioner) -> Chain:
    """A coupling for each mask, an ActNorm before each; `dims` is of one item, 1 for rows and 3 for images."""
    steps: list[Bijection] = []
    for mask in masks:
        steps += [ActNorm(channels, dims), Coupling(mask, channels, conditioner)]
    return Chain(steps)


class Flatten(Bijection):
    """(B, *shape) to (B, numbers)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.flatten(1), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        return z.unflatten(1, self.shape)


class MultiScale(Bijection):
    """Images of any size, (B, C, H, W), to z, shape (B, C * H * W): one scale, and the others inside it.

    Each 2x2 square becomes four channels, couplings follow, then half of the channels is z and the other
    half goes on. Differs from the paper: the checkerboard couplings come after the squeeze too, as a pattern
    in the four channels, which is the same map at a quarter of the cost; and where a side is odd, couplings
    at the full size come first, and then the last row or column is z. No pixel is left out and none is
    invented, so the change of variables is exact at every size.

    Arguments:
        scales: this one and those inside; fewer where the image runs out of pixels.
        count: couplings at each.
    """

    def __init__(self, shape: tuple[int, ...], scales: int, count: int, conditioner: Conditioner) -> None:
        super().__init__()
        C, H, W = self.shape = shape
        self.inner = H // 2 * 2, W // 2 * 2
        odd_masks = [] if self.inner == (H, W) else _edge_masks(H, W)
        self.odd = couplings(odd_masks, C, 3, conditioner)
        self.even = couplings(_channel_masks(4 * C, count), 4 * C, 3, conditioner)
        rest = 2 * C, H // 2, W // 2
        more = scales > 1 and min(rest[1:]) > 1
        self.rest = MultiScale(rest, scales - 1, count, conditioner) if more else Flatten(rest)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        H, W = self.inner
        x, at_full_size = self.odd(x)
        bottom, right = x[:, :, H:], x[:, :, :H, W:]
        x, at_half_size = self.even(F.pixel_unshuffle(x[:, :, :H, :W], 2))
        x, half = x.chunk(2, dim=1)
        z, inside = self.rest(x)
        parts = [part.flatten(1) for part in (bottom, right, half, z)]
        return torch.cat(parts, dim=1), at_full_size + at_half_size + inside

    def inverse(self, z: Tensor) -> Tensor:
        (C, height, width), (H, W) = self.shape, self.inner
        sizes = C * (height - H) * width, C * H * (width - W), C * H * W // 2, C * H * W // 2
        bottom, right, half, z = z.split(sizes, dim=1)
        x = self.rest.inverse(z)
        x = F.pixel_shuffle(self.even.inverse(torch.cat([x, half.view(x.shape)], dim=1)), 2)
        x = torch.cat([x, right.unflatten(1, (C, H, width - W))], dim=3)
        return self.odd.inverse(torch.cat([x, bottom.unflatten(1, (C, height - H, width))], dim=2))


def _channel_masks(channels: int, count: int) -> list[Tensor]:
    """Masks of squeezed channels, k = 4 c + 2 i + j for the pixel (i, j) of its square; each, then its reverse."""
    k = torch.arange(channels)
    i, j = k // 2 % 2, k % 2
    patterns = [(i + j) % 2, (k >= channels // 2).long(), j]  # checkerboard, halves, columns
    masks = [m for pattern in patterns for m in (pattern, 1 - pattern)]
    return [masks[n % len(masks)][:, None, None] for n in range(count)]


def _edge_masks(height: int, width: int) -> list[Tensor]:
    """Checkerboard, its reverse, and all but the odd row and column, at the full size."""
    i, j = torch.arange(height)[:, None], torch.arange(width)
    checkerboard = (i + j) % 2
    inner = (i < height // 2 * 2) & (j < width // 2 * 2)
    return [mask[None] for mask in (checkerboard, 1 - checkerboard, inner.long())]
