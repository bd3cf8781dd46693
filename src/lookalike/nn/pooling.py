"""Convolutions with max-pooling down and unpooling up, for any size: what was there, and where.

    what, where = maxpool(relu(conv(h)))         the largest of each 2x2 places, and which it was
    unpool(what, where)                          what at its place, and 0 at the other three
    unpool(what)                                 a quarter of it at each of the four, where nobody says where

Zeiler et al. (2011), "Adaptive deconvolutional networks", ICCV, section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from .conv import pyramid


def pool(h: Tensor) -> tuple[Tensor, Tensor]:
    """What and where, each (B, C, ceil(H / 2), ceil(W / 2)); where is int64, a place in the flattened (H, W)."""
    what, where = F.max_pool2d(h, 2, ceil_mode=True, return_indices=True)
    return what, where


def unpool(what: Tensor, where: Tensor | None, size: tuple[int, int]) -> Tensor:
    """The way back to (B, C, *size)."""
    if where is None:
        return F.interpolate(what, scale_factor=2)[..., : size[0], : size[1]] / 4
    flat = what.new_zeros(*what.shape[:2], size[0] * size[1])
    return flat.scatter(2, where.flatten(2), what.flatten(2)).unflatten(2, size)


class PooledEncoder(nn.Module):
    """(B, C, H, W) -> a code (B, outputs), and where each stage found its largest.

    Arguments:
        width: channels of the first convolution, doubled at each halving up to eight times.
    """

    def __init__(self, shape: tuple[int, ...], outputs: int, width: int = 32) -> None:
        super().__init__()
        C, *sides = shape
        sizes = _sizes(sides)
        widths = [C, *(width * min(2**i, 8) for i in range(len(sizes) - 1))]
        self.convs = nn.ModuleList(nn.Conv2d(n, m, 3, padding=1) for n, m in pairwise(widths))
        self.head = nn.Linear(widths[-1] * sizes[-1][0] * sizes[-1][1], outputs)

    def forward(self, h: Tensor) -> tuple[Tensor, list[Tensor]]:
        places = []
        for conv in self.convs:
            h, where = pool(F.relu(conv(h)))
            places.append(where)
        return self.head(h.flatten(1)), places


class PooledDecoder(nn.Module):
    """A code (B, inputs), and where, if it is known -> (B, C, H, W); mirrors `PooledEncoder`."""

    def __init__(self, inputs: int, shape: tuple[int, ...], width: int = 32) -> None:
        super().__init__()
        C, *sides = shape
        self.sizes = _sizes(sides)
        widths = [C, *(width * min(2**i, 8) for i in range(len(self.sizes) - 1))]
        self.start = (widths[-1], *self.sizes[-1])
        self.head = nn.Linear(inputs, widths[-1] * self.sizes[-1][0] * self.sizes[-1][1])
        self.convs = nn.ModuleList(nn.Conv2d(m, n, 3, padding=1) for n, m in reversed(list(pairwise(widths))))

    def forward(self, z: Tensor, places: Sequence[Tensor] = ()) -> Tensor:
        h = self.head(z).unflatten(1, self.start)
        wheres = [*reversed(places)] if places else [None] * len(self.convs)
        for conv, where, size in zip(self.convs, wheres, self.sizes[-2::-1], strict=True):
            h = conv(unpool(F.relu(h), where, size))
        return h


def _sizes(sides: Sequence[int]) -> list[tuple[int, int]]:
    """Of an image at each stage, largest first; at least two."""
    H, W = sides
    sizes = pyramid(H, W)
    return sizes if len(sizes) > 1 else [*sizes, ((H + 1) // 2, (W + 1) // 2)]
