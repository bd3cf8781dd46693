"""Gated PixelCNN: each intensity from all before it, by two stacks of convolutions without a blind spot.

    log p(x) = sum over pixels (i, j), channels c of  log p(x_cij | rows above i, row i left of j, channels < c)

    vertical stack      sees every row up to its own, all columns; shifted down by one it is "the rows above"
    horizontal stack    sees its own row to the left, and the vertical stack of the rows above
    gate                tanh(a) * sigmoid(b), a and b the halves of one convolution, plus a bias for the class

Within a pixel the features are in groups, one for each channel: see `channels`.

van den Oord et al. (2016), "Conditional image generation with PixelCNN decoders", arXiv:1606.05328.
Differs from the paper: no skip connections beside the residual stream of the horizontal stack.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....nn.likelihoods import Pixelwise
from ....nn.masked import MaskedConv2d
from ....nn.mixture import PixelwiseName, pixelwise
from ....options import Range
from ....spec import Spec
from .channels import Head, before, ends, groups_of, upto
from .raster import CausalNetwork, Raster, Stepper, labels_of
from .stepping import HeadSteps, Rows, Strip, anew, bias_of, masked, matrix


class PixelCNN(Raster):
    """Gated PixelCNN for images of any levels and channels.

    Arguments:
        width: features of each stack.
        layers: gated layers; each widens the view by half a kernel.
        kernel: side of the convolutions, an odd number; the first one is 2 wider.
        likelihood: of a pixel; auto is bernoulli for binary images and categorical, a logit for each level, for
            others; mixture is one of discretised logistics.
        components: of a mixture.
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
        likelihood: PixelwiseName = "auto",
        components: Annotated[int, Range(1)] = 10,
        conditional: bool = False,
    ) -> None:
        pixel = pixelwise(spec, likelihood, components)
        classes = labels_of(spec, conditional, "pixelcnn")
        network = GatedStacks(spec.shape[0], pixel, width, layers, kernel // 2, classes)
        super().__init__(spec, network, pixel, conditional)


class GatedStacks(CausalNetwork):
    """(B, C, H, W) -> params (B, likelihood.width, H, W), causal in all of them.

    Attributes:
        reach: rows above and columns to the left in view (and one row more, for the shift).
    """

    def __init__(self, channels: int, likelihood: Pixelwise, width: int, layers: int, half: int, classes: int) -> None:
        super().__init__()
        width = max(width, channels)  # a group of features for each channel at the least
        reaches = [half + 1] + [half] * (layers - 1)
        inputs = [channels] + [width] * (layers - 1)
        self.head = Head(width, channels, likelihood, "silu")
        self.reach = sum(reaches)
        self.above = nn.ModuleList(Vertical(n, width, reach, classes) for n, reach in zip(inputs, reaches, strict=True))
        self.left = nn.ModuleList(
            Horizontal(n, width, self.head.groups, reach, classes, first=i == 0)
            for i, (n, reach) in enumerate(zip(inputs, reaches, strict=True))
        )

    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        v, left = h, h
        for vertical, horizontal in zip(self.above, self.left, strict=True):
            v, told = vertical(v, y)
            left = horizontal(left, told, y)
        params: Tensor = self.head(left)
        return params

    def stepper(self, n: int, y: Tensor | None) -> Stepper:
        return anew(lambda h: GatedSteps(self, h, y))


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

    def __init__(self, inputs: int, width: int, groups: int, reach: int, classes: int, first: bool) -> None:
        super().__init__()
        self.reach, self.first = reach, first
        entering, inner = groups_of(inputs, groups), groups_of(width, groups)
        both = torch.cat([inner, inner])  # halves of the gate: a and b of one feature are of one group
        own = before(entering, both) if first else upto(entering, both)
        left = torch.ones(2 * width, inputs, 1, reach, dtype=torch.bool)
        self.conv = MaskedConv2d(torch.cat([left, own], dim=3))
        self.out = MaskedConv2d(upto(inner, inner))
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


class GatedSteps:
    """A stepper: the vertical stack a row at a time, the horizontal one a group of channels of a pixel.

    A gate is tanh(a) * sigmoid(b) = tanh(a) * (1 + tanh(b / 2)) / 2: one tanh of both halves does, b halved by the
    weights before it and the product by those after.
    """

    def __init__(self, network: GatedStacks, h: Tensor, y: Tensor | None) -> None:
        n, _, _, W = h.shape
        layers = cast("list[tuple[Vertical, Horizontal]]", list(zip(network.above, network.left, strict=True)))
        self.head = HeadSteps(network.head, n)
        self.above = [GatedRows(*pair, network.head.groups, n, W, y) for pair in layers]
        strips = [Strip(h, n, W, left.conv.in_channels, left.reach) for _, left in layers]
        self.entries = [strips[0].pixel(j) for j in range(W)]
        moves = [
            _moves(left, above.told.view(n, W, -1), strip, following, self.head)
            for (_, left), above, strip, following in zip(layers, self.above, strips, [*strips[1:], None], strict=True)
        ]
        # Of each group and pixel those of all layers, in the order they are made.
        self.moves = [list(zip(*of_group, strict=True)) for of_group in zip(*moves, strict=True)]
        self.pixels: tuple[Tensor, ...] = ()

    def __call__(self, h: Tensor, i: int, j: int, c: int) -> Tensor:
        if j == c == 0:
            self._begin_row(h, i)
        if c:
            self.entries[j][:, c - 1].copy_(self.pixels[j][:, c - 1])
        elif j:
            self.entries[j - 1].copy_(self.pixels[j - 1])
        for told, window, weight, ab, a, b, gated, seen, left, out_weight, out in self.moves[c][j]:
            torch.addmm(told, window, weight, out=ab).tanh_()
            torch.addcmul(a, a, b, out=gated)
            torch.addmm(left, seen, out_weight, out=out)
        return self.head(c)

    def _begin_row(self, h: Tensor, i: int) -> None:
        self.pixels = h[:, :, i].unbind(2)
        row = h[:, :, i - 1].transpose(1, 2) if i else None
        for above in self.above:
            row = above(row)


class GatedRows:
    """A layer of the vertical stack: of a row of features (n, W, inputs) those of the next layer, twice as large.

    Attributes:
        told: what the row after it is told, shape (n * W, 2 * width), a and b of a group side by side, b halved, with
            all that does not depend on the row itself.
    """

    def __init__(
        self, vertical: Vertical, horizontal: Horizontal, groups: int, n: int, W: int, y: Tensor | None
    ) -> None:
        conv, tell = vertical.conv, vertical.tell.weight.detach()[:, :, 0, 0]
        halved, order = _halved(tell), _side_by_side(len(tell) // 2, groups)
        doubled = 1.0 if horizontal.first else 0.5  # the image is not
        self.rows = Rows(conv.weight.detach() * halved[:, None, None, None] * doubled, bias_of(conv) * halved, n, W)
        self.tell = (halved[:, None] * tell / halved)[order].t().contiguous()
        alone = bias_of(vertical.tell) + bias_of(horizontal.conv)
        self.label = None
        if vertical.gate.of_class is not None and horizontal.gate.of_class is not None:
            self.label = (vertical.gate.of_class(y) * halved).detach()[:, None]
            alone = alone + horizontal.gate.of_class(y)
        self.alone = (alone * halved).detach()[..., order].expand(n, -1).repeat_interleave(W, 0)
        self.told = torch.empty_like(self.alone)

    def __call__(self, row: Tensor | None) -> Tensor | None:
        """The features of the row, None of what is above the first."""
        if row is None:
            self.told.copy_(self.alone)
            return None
        ab = self.rows(row)
        torch.addmm(self.alone, ab, self.tell, out=self.told)
        ab = ab.view(len(row), row.shape[1], -1)
        a, b = (ab if self.label is None else ab.add_(self.label)).tanh_().chunk(2, dim=2)
        return torch.addcmul(a, a, b)


class Move(NamedTuple):
    """What a layer of the horizontal stack does for a group of features of one pixel: views of what it reads, writes.

        ab = tanh(told + window @ weight),   gated = a + a * b,   out = left + seen @ out_weight

    `seen` is a 1, for the bias, and what is gated of the groups up to this one.
    """

    told: Tensor
    window: Tensor
    weight: Tensor
    ab: Tensor
    a: Tensor
    b: Tensor
    gated: Tensor
    seen: Tensor
    left: Tensor
    out_weight: Tensor
    out: Tensor


def _moves(layer: Horizontal, told: Tensor, strip: Strip, following: Strip | None, head: HeadSteps) -> list[list[Move]]:
    """Of each group those of each pixel; they write into the following strip, or at the last layer into the head."""
    n, W, width = len(told), told.shape[1], told.shape[2] // 2
    weight = matrix(masked(layer.conv)[:, :, 0])
    weight = weight * _halved(weight.t())
    # The gate's product is twice what it should be.
    out_weight = torch.cat([bias_of(layer.out)[None], matrix(masked(layer.out)[:, :, 0]) / 2])
    gated = told.new_ones(n, 1 + width)
    groups = len(head.groups)
    entering = ends(strip.features, groups)
    moves = []
    for c, (first, last) in enumerate(pairwise(ends(width, groups))):
        own = entering[c] if layer.first else entering[c + 1]
        both = torch.cat([torch.arange(first, last), torch.arange(first, last) + width]).to(told.device)
        into = weight[: strip.reach * strip.features + own, both].contiguous()
        out_of = out_weight[: 1 + last, first:last].contiguous()
        ab = told.new_empty(n, 2 * (last - first))
        nothing = told.new_zeros(n, last - first)
        a, b = ab.chunk(2, dim=1)
        moves.append(
            [
                Move(
                    told[:, j, 2 * first : 2 * last],
                    strip.window(j, own),
                    into,
                    ab,
                    a,
                    b,
                    gated[:, 1 + first : 1 + last],
                    gated[:, : 1 + last],
                    nothing if layer.first else strip.pixel(j, first, last),
                    out_of,
                    head.features[:, first:last] if following is None else following.pixel(j, first, last),
                )
                for j in range(W)
            ]
        )
    return moves


def _halved(weight: Tensor) -> Tensor:
    """A factor for each output (2 * width, ...): 1 of those that become a, 1/2 of those that become b."""
    factor = weight.new_ones(len(weight))
    factor[len(weight) // 2 :] = 0.5
    return factor


def _side_by_side(width: int, groups: int) -> Tensor:
    """The outputs of a gate in the order of the groups, a and b of each: a0 b0 a1 b1 ..."""
    of_a = groups_of(width, groups).repeat(2)
    return of_a.argsort(stable=True)
