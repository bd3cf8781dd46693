"""Images of any size through couplings of their 2x2 squares, half of what there is being z already at each scale.

Dinh et al. (2017), "Density estimation using Real NVP", arXiv:1605.08803, sections 3.4 to 3.6.
Differs from the paper: the checkerboard couplings come after the squeeze too, as a pattern in the four channels,
which is the same map at a quarter of the cost; and where a side is odd, couplings at the full size come first, and
then the last row or column is z. No pixel is left out and none is invented, so the change of variables is exact at
every size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .bijections import Bijection, Flatten

AtFullSize = Callable[[Sequence[Tensor], int], Bijection]
"""Couplings of these masks for so many channels, for images with an odd side."""
OfSquares = Callable[[int], Bijection]
"""Couplings for so many channels, those of squeezed images."""


class Squares(Bijection):
    """Images, (B, C, H, W), to images of that shape: each 2x2 square becomes four channels, and back again."""

    def __init__(self, shape: tuple[int, ...], odd: AtFullSize, even: OfSquares) -> None:
        super().__init__()
        C, H, W = shape
        self.inner = H // 2 * 2, W // 2 * 2
        self.odd = None if self.inner == (H, W) else odd(_edge_masks(H, W), C)
        self.even = even(4 * C)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_det = x.new_zeros(len(x))
        if self.odd is not None:
            x, log_det = self.odd(x, context)
        squares, more = self.even(self._squeeze(x), self._squeezed(context))
        return self._unsqueeze(squares, x), log_det + more

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        x = self._unsqueeze(self.even.inverse(self._squeeze(z), self._squeezed(context)), z)
        return x if self.odd is None else self.odd.inverse(x, context)

    def _squeeze(self, x: Tensor) -> Tensor:
        H, W = self.inner
        return F.pixel_unshuffle(x[:, :, :H, :W], 2)

    def _squeezed(self, context: Tensor | None) -> Tensor | None:
        return context if context is None or context.dim() == 2 else self._squeeze(context)

    def _unsqueeze(self, squares: Tensor, x: Tensor) -> Tensor:
        """The squares as they lie in x, and of x the last row and column where a side is odd."""
        H, W = self.inner
        inner = F.pixel_shuffle(squares, 2)
        return inner if self.odd is None else torch.cat([torch.cat([inner, x[:, :, :H, W:]], 3), x[:, :, H:]], 2)


class MultiScale(Bijection):
    """Images, (B, C, H, W), to z, shape (B, C * H * W): one scale, and the others inside it.

    Arguments:
        scales: this one and those inside; fewer where the image runs out of pixels.
        odd, even: make the couplings of a scale.
    """

    def __init__(self, shape: tuple[int, ...], scales: int, odd: AtFullSize, even: OfSquares) -> None:
        super().__init__()
        C, H, W = self.shape = shape
        self.squares = Squares(shape, odd, even)
        rest = 2 * C, H // 2, W // 2
        more = scales > 1 and min(rest[1:]) > 1
        self.rest = MultiScale(rest, scales - 1, odd, even) if more else Flatten(rest)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        H, W = self.squares.inner
        x, log_det = self.squares(x, context)
        bottom, right = x[:, :, H:], x[:, :, :H, W:]
        x, half = F.pixel_unshuffle(x[:, :, :H, :W], 2).chunk(2, dim=1)
        z, inside = self.rest(x, context)
        return torch.cat([part.flatten(1) for part in (bottom, right, half, z)], dim=1), log_det + inside

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        (C, height, width), (H, W) = self.shape, self.squares.inner
        sizes = C * (height - H) * width, C * H * (width - W), C * H * W // 2, C * H * W // 2
        bottom, right, half, z = z.split(sizes, dim=1)
        x = self.rest.inverse(z, context)
        x = F.pixel_shuffle(torch.cat([x, half.view(x.shape)], dim=1), 2)
        x = torch.cat([x, right.unflatten(1, (C, H, width - W))], dim=3)
        x = torch.cat([x, bottom.unflatten(1, (C, height - H, width))], dim=2)
        return self.squares.inverse(x, context)


def checkered(channels: int, count: int) -> list[Tensor]:
    """Masks of squeezed channels, k = 4 c + 2 i + j for the pixel (i, j) of its square: checkerboard, halves and
    columns, each followed by its reverse."""
    k = torch.arange(channels)
    i, j = k // 2 % 2, k % 2
    patterns = [(i + j) % 2, (k >= channels // 2).long(), j]
    masks = [m for pattern in patterns for m in (pattern, 1 - pattern)]
    return [masks[n % len(masks)][:, None, None] for n in range(count)]


def halves(channels: int, count: int, dims: int = 3) -> list[Tensor]:
    """Masks of the first half of the channels (of the columns where dims is 1) and of the last, in turn."""
    first = (torch.arange(channels) < (channels + 1) // 2).long()
    return [(first if n % 2 == 0 else 1 - first).view(-1, *[1] * (dims - 1)) for n in range(count)]


def _edge_masks(height: int, width: int) -> list[Tensor]:
    """Checkerboard, its reverse, and all but the odd row and column, at the full size."""
    i, j = torch.arange(height)[:, None], torch.arange(width)
    checkerboard = (i + j) % 2
    inner = (i < height // 2 * 2) & (j < width // 2 * 2)
    return [mask[None] for mask in (checkerboard, 1 - checkerboard, inner.long())]
