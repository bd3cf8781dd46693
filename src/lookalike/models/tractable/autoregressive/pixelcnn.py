"""Gated PixelCNN: each intensity from all before it, by two stacks of convolutions without a blind spot.

    log p(x) = sum over pixels (i, j), channels c of  log p(x_cij | rows above i, row i left of j, channels < c)

    vertical stack      sees every row up to its own, all columns; shifted down by one it is "the rows above"
    horizontal stack    sees its own row to the left, and the vertical stack of the rows above
    gate                tanh(a) * sigmoid(b), a and b the halves of one convolution, plus a bias for the class

Within a pixel the features are in C groups; group c sees the groups up to c (mask B), and at the first
layer the channels before c (mask A). So red is drawn first, green given red, blue given both.

van den Oord et al. (2016), "Conditional image generation with PixelCNN decoders", arXiv:1606.05328.
Differs from the paper: no skip connections beside the residual stream of the horizontal stack.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....nn.likelihoods import Categorical
from ....nn.masked import MaskedConv2d
from ....options import Range
from ....spec import Spec
from .raster import CausalNetwork, Raster, Stepper, labels_of


class PixelCNN(Raster):
    """Gated PixelCNN for images of any levels and channels.

    Arguments:
        width: features of each stack.
        layers: gated layers; each widens the view by half a kernel.
        kernel: side of the convolutions, an odd number; the first one is 2 wider.
        conditional: whether each layer has a bias for the label, so that samples can be asked for by class.
    """

    channels_last = False  # the two stacks' narrow kernels are slower so

    def __init__(
        self,
        spec: Spec,
        *,
        width: Annotated[int, Range(1)] = 32,
        layers: Annotated[int, Range(1)] = 6,
        kernel: Annotated[int, Range(3)] = 5,
        conditional: bool = False,
    ) -> None:
        likelihood = Categorical(spec)
        classes = labels_of(spec, conditional, "pixelcnn")
        network = GatedStacks(spec.shape[0], likelihood.width, width, layers, kernel // 2, classes)
        super().__init__(spec, network, likelihood, conditional)


class GatedStacks(CausalNetwork):
    """(B, C, H, W) -> (B, outputs, H, W), outputs in the order of (levels, C), causal in all of them.

    Attributes:
        reach: rows above and columns to the left in view (and one row more, for the shift).
    """

    def __init__(self, channels: int, outputs: int, width: int, layers: int, half: int, classes: int) -> None:
        super().__init__()
        width = max(width, channels)  # a group of features for each channel at the least
        reaches = [half + 1] + [half] * (layers - 1)
        inputs = [channels] + [width] * (layers - 1)
        self.reach = sum(reaches)
        self.above = nn.ModuleList(Vertical(n, width, reach, classes) for n, reach in zip(inputs, reaches, strict=True))
        self.left = nn.ModuleList(
            Horizontal(n, width, channels, reach, classes, first=i == 0)
            for i, (n, reach) in enumerate(zip(inputs, reaches, strict=True))
        )
        inner, outer = _groups(width, channels), torch.arange(outputs) % channels
        self.head = nn.Sequential(
            nn.SiLU(), MaskedConv2d(_upto(inner, inner)), nn.SiLU(), MaskedConv2d(_upto(inner, outer))
        )

    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        return self.horizontal(h, self.vertical(h, y), y)

    def stepper(self, n: int, y: Tensor | None) -> Stepper:
        told: list[Tensor] = []

        def step(h: Tensor, i: int, j: int, c: int) -> Tensor:
            if j == c == 0:  # the vertical stack once a row, from the rows in its view
                told[:] = [v[:, :, -1:] for v in self.vertical(h[:, :, max(0, i - 1 - self.reach) : i + 1], y)]
            columns = slice(max(0, j - self.reach), j + 1)
            strip = self.horizontal(h[:, :, i : i + 1, columns], [v[..., columns] for v in told], y)
            return strip[:, :, 0, -1]

        return step

    def vertical(self, v: Tensor, y: Tensor | None) -> list[Tensor]:
        """What each layer's horizontal half is told of the rows above, (B, 2 * width, H, W) each."""
        above = []
        for layer in self.above:
            v, told = layer(v, y)
            above.append(told)
        return above

    def horizontal(self, h: Tensor, above: list[Tensor], y: Tensor | None) -> Tensor:
        """The outputs from the row itself and from `vertical`, which may both be a strip of the image."""
        for layer, told in zip(self.left, above, strict=True):
            h = layer(h, told, y)
        return self.head(h)


class Vertical(nn.Module):
    """A layer of the vertical stack: (B, inputs, H, W) -> its features, and what it tells the horizontal one."""

    def __init__(self, inputs: int, width: int, reach: int, classes: int) -> None:
        super().__init__()
        self.reach = reach
        self.conv = nn.Conv2d(inputs, 2 * width, (reach + 1, 2 * reach + 1))
        self.tell = nn.Conv2d(2 * width, 2 * width, 1)
        self.gate = Gate(width, classes)

    def forward(self, v: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        a = self.conv(F.pad(v, (self.reach, self.reach, self.reach, 0)))
        # One row down: a row is told of the rows above it, the first of none; the last is told to nobody.
        return self.gate(a, y), self.tell(F.pad(a, (0, 0, 1, -1)))


class Horizontal(nn.Module):
    """A layer of the horizontal stack, residual; the first sees the channels before a pixel's own only."""

    def __init__(self, inputs: int, width: int, channels: int, reach: int, classes: int, first: bool) -> None:
        super().__init__()
        self.reach, self.first = reach, first
        before, inner = _groups(inputs, channels), _groups(width, channels)
        both = torch.cat([inner, inner])  # halves of the gate: a and b of one feature are of one group
        own = _before(before, both) if first else _upto(before, both)
        left = torch.ones(2 * width, inputs, 1, reach, dtype=torch.bool)
        self.conv = MaskedConv2d(torch.cat([left, own], dim=3))
        self.out = MaskedConv2d(_upto(inner, inner))
        self.gate = Gate(width, classes)

    def forward(self, h: Tensor, told: Tensor, y: Tensor | None) -> Tensor:
        out = self.out(self.gate(self.conv(F.pad(h, (self.reach, 0, 0, 0))) + told, y))
        return out if self.first else h + out  # the first would pass on the pixel itself


class Gate(nn.Module):
    """tanh(a) * sigmoid(b), with a bias for the class: (B, 2 * width, H, W) -> (B, width, H, W)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.of_class = nn.Embedding(classes, 2 * width) if classes else None

    def forward(self, ab: Tensor, y: Tensor | None) -> Tensor:
        if self.of_class is not None:
            ab = ab + self.of_class(y)[:, :, None, None]
        a, b = ab.chunk(2, dim=1)
        return a.tanh() * b.sigmoid()


def _groups(features: int, channels: int) -> Tensor:
    """The channel each feature belongs to, in runs of equal length: 0 0 1 1 2 2."""
    return torch.arange(features) * channels // features


def _before(inputs: Tensor, outputs: Tensor) -> Tensor:
    """Mask A of one pixel between features of these groups, shape (outputs, inputs, 1, 1)."""
    return (inputs < outputs[:, None])[:, :, None, None]


def _upto(inputs: Tensor, outputs: Tensor) -> Tensor:
    """Mask B of one pixel."""
    return (inputs <= outputs[:, None])[:, :, None, None]
