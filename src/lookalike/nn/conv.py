"""Convolutional networks from an image to a vector or a smaller image and back, for any size and channels.

The side is halved (rounding up) until none is above 4, and the width doubled each time up to eight
times; the way back visits the same sizes, so nobody does size arithmetic: 28 -> 14 -> 7 -> 4.

    plain      strided 4x4 convolutions down, transposed ones up (Radford et al. 2016, arXiv:1511.06434)
    residual   two 3x3 convolutions and a shortcut at each size (He et al. 2016, arXiv:1603.05027;
               resampled as in Gulrajani et al. 2017, arXiv:1704.00028, appendix F)
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from .resnet import ResidualConv

Block = Literal["plain", "residual"]
Norm = Literal["none", "batch", "group"]

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda _: nn.Identity(),
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(min(8, channels), channels),
}


def pyramid(height: int, width: int) -> list[tuple[int, int]]:
    """The sizes an image passes through, largest first: (28, 28), (14, 14), (7, 7), (4, 4)."""
    sizes = [(height, width)]
    while max(sizes[-1]) > 4:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def _widths(levels: int, width: int) -> list[int]:
    return [width * min(2**i, 8) for i in range(levels)]


def _halvings(channels: int, widths: list[int], block: Block, norm: Norm) -> nn.Sequential:
    """A halving for each of the widths: (B, channels, H, W) -> (B, widths[-1], h, w)."""
    down = _Halve if block == "plain" else _ResidualDown
    # The first layer sees raw pixels: normalising it would hide the mean brightness (DCGAN section 3).
    norms = ["none", *[norm] * len(widths)]
    return nn.Sequential(
        *(down(n, m, norms[i]) for i, (n, m) in enumerate(zip([channels, *widths[:-1]], widths, strict=True)))
    )


class ConvEncoder(nn.Module):
    """(B, C, H, W) -> (B, outputs).

    Arguments:
        width: channels at the first halving.
        norm: of activations; "batch" makes training, not evaluation, depend on the rest of the batch.
    """

    def __init__(
        self, shape: tuple[int, ...], outputs: int, width: int = 32, block: Block = "plain", norm: Norm = "none"
    ) -> None:
        super().__init__()
        C, H, W = shape
        sizes = pyramid(H, W)
        widths = _widths(max(1, len(sizes) - 1), width)
        self.body = _halvings(C, widths, block, norm)
        h, w = sizes[-1] if len(sizes) > 1 else ((H + 1) // 2, (W + 1) // 2)
        self.head = nn.Linear(widths[-1] * h * w, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).flatten(1))


class ConvPatches(nn.Module):
    """(B, C, H, W) -> (B, 1, h, w): one number for each of the overlapping patches of an image.

    One halving less than `ConvEncoder`, so 7 x 7 numbers of patches 18 pixels wide for an image of 28 x 28. Isola
    et al. (2017), arXiv:1611.07004, section 3.2.2.

    Arguments:
        width, block, norm: as of `ConvEncoder`.
    """

    def __init__(self, shape: tuple[int, ...], width: int = 32, block: Block = "plain", norm: Norm = "none") -> None:
        super().__init__()
        C, H, W = shape
        widths = _widths(max(1, len(pyramid(H, W)) - 2), width)
        self.body = _halvings(C, widths, block, norm)
        self.head = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class ConvDecoder(nn.Module):
    """(B, inputs) -> (B, C, H, W), without a final non-linearity; mirrors `ConvEncoder`."""

    def __init__(
        self, inputs: int, shape: tuple[int, ...], width: int = 32, block: Block = "plain", norm: Norm = "none"
    ) -> None:
        super().__init__()
        C, H, W = shape
        sizes = pyramid(H, W)[::-1]
        if len(sizes) == 1:
            sizes = [((H + 1) // 2, (W + 1) // 2), *sizes]
        widths = _widths(len(sizes) - 1, width)[::-1]
        self.start = (widths[0], *sizes[0])
        self.head = nn.Linear(inputs, widths[0] * sizes[0][0] * sizes[0][1])
        ups: list[nn.Module] = []
        if block == "plain":
            for i, (n, m) in enumerate(zip(widths, [*widths[1:], C], strict=True)):
                ups.append(_Double(n, m, sizes[i + 1], norm))
        else:
            for i, (n, m) in enumerate(zip(widths, [*widths[1:], widths[-1]], strict=True)):
                ups.append(_ResidualUp(n, m, sizes[i + 1], norm))
            ups += [NORMS[norm](widths[-1]), nn.LeakyReLU(0.2), nn.Conv2d(widths[-1], C, 3, padding=1)]
        self.body = nn.Sequential(*ups)

    def forward(self, z: Tensor) -> Tensor:
        return self.body(self.head(z).unflatten(1, self.start))


class Shrink(nn.Sequential):
    """(B, C, H, W) -> (B, outputs, *sizes[-1]), convolutional throughout.

    Arguments:
        sizes: some of `pyramid(H, W)`, from its first on.
        width: channels at the smallest size, half of it before.
        depth: residual blocks there.
    """

    def __init__(self, channels: int, outputs: int, sizes: list[tuple[int, int]], width: int, depth: int) -> None:
        widths = [channels, *[max(1, width // 2)] * (len(sizes) - 2), *[width] * (len(sizes) > 1)]
        halves = (_Halve(n, m, "none") for n, m in pairwise(widths))
        super().__init__(*halves, ResidualConv(widths[-1], outputs, width, depth))


class Grow(nn.Sequential):
    """(B, inputs, *sizes[-1]) -> (B, outputs, *sizes[0]), without a final non-linearity; mirrors `Shrink`."""

    def __init__(self, inputs: int, outputs: int, sizes: list[tuple[int, int]], width: int, depth: int) -> None:
        widths = [*[width] * (len(sizes) > 1), *[max(1, width // 2)] * (len(sizes) - 2), outputs]
        doubles = (_Double(n, m, size, "none") for (n, m), size in zip(pairwise(widths), sizes[-2::-1], strict=False))
        super().__init__(ResidualConv(inputs, widths[0], width, depth), *doubles)


class _Halve(nn.Sequential):
    """Strided convolution, norm, leaky ReLU: (B, n, H, W) -> (B, m, ceil(H / 2), ceil(W / 2))."""

    def __init__(self, n: int, m: int, norm: str) -> None:
        super().__init__(nn.Conv2d(n, m, 4, stride=2, padding=1), NORMS[norm](m), nn.LeakyReLU(0.2, inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        # An odd side gains a row, so that halving rounds up and no pixel is left out.
        return super().forward(F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2)))


class _Double(nn.Module):
    """Norm, ReLU, transposed convolution, cropped to `size`: (B, n, h, w) -> (B, m, *size)."""

    def __init__(self, n: int, m: int, size: tuple[int, int], norm: str) -> None:
        super().__init__()
        self.size = size
        self.norm = NORMS[norm](n)
        self.up = nn.ConvTranspose2d(n, m, 4, stride=2, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        H, W = self.size
        return self.up(F.relu(self.norm(h)))[..., :H, :W]


class _Residual(nn.Module):
    """norm, act, 3x3, norm, act, 3x3, beside a 1x1 shortcut; resampled between by the subclasses."""

    def __init__(self, n: int, m: int, norm: str) -> None:
        super().__init__()
        self.norm1, self.norm2 = NORMS[norm](n), NORMS[norm](m)
        self.conv1, self.conv2 = nn.Conv2d(n, m, 3, padding=1), nn.Conv2d(m, m, 3, padding=1)
        self.shortcut = nn.Conv2d(n, m, 1, bias=False)

    def residual(self, h: Tensor) -> Tensor:
        h = self.conv1(F.leaky_relu(self.norm1(h), 0.2))
        return self.conv2(F.leaky_relu(self.norm2(h), 0.2))


class _ResidualDown(_Residual):
    def forward(self, h: Tensor) -> Tensor:
        return F.avg_pool2d(self.residual(h) + self.shortcut(h), 2, ceil_mode=True)


class _ResidualUp(_Residual):
    def __init__(self, n: int, m: int, size: tuple[int, int], norm: str) -> None:
        super().__init__(n, m, norm)
        self.size = size

    def forward(self, h: Tensor) -> Tensor:
        h = F.interpolate(h, size=self.size, mode="nearest")
        return self.residual(h) + self.shortcut(h)
