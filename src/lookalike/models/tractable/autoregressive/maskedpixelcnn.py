"""PixelCNN: one stack of convolutions whose masks hide the pixels to come.

    h = A(x);   h = h + up(relu(B(relu(down(relu(h))))))   for each layer;   params = head(h)

    mask A      of the first convolution: the rows above, the pixels to the left, the channels before
    mask B      of the 3x3 ones after it: the pixel itself too, each group of features seeing the groups up to it
    down, up    within a pixel, to half the features and back

The view of masked 3x3 convolutions grows upward in a cone, a column to the right for each row up, and so has a blind
spot: what lies far to the right just above is never seen, however many the layers. That is part of the model, and why
the gated one (`pixelcnn`), which has none, scores better; this one is the simplest there is.

van den Oord et al. (2016), "Pixel recurrent neural networks", arXiv:1601.06759, sections 3.3 to 3.5. Differs from the
paper: labels, a bias for each in every convolution.
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


class MaskedPixelCNN(Raster):
    """PixelCNN of masked convolutions for images of any levels and channels.

    Arguments:
        width: features inside a layer; between layers there are twice as many.
        layers: residual layers, each with one 3x3 convolution.
        likelihood: of a pixel; auto is bernoulli for binary images and categorical, a logit for each level, for
            others; mixture is one of discretised logistics.
        components: of a mixture.
        conditional: whether each layer has a bias for the label, so that samples can be asked for by class.
    """

    channels_last = False

    def __init__(
        self,
        spec: Spec,
        *,
        width: Annotated[int, Range(1)] = 32,
        layers: Annotated[int, Range(1)] = 7,
        likelihood: PixelwiseName = "auto",
        components: Annotated[int, Range(1)] = 10,
        conditional: bool = False,
    ) -> None:
        pixel = pixelwise(spec, likelihood, components)
        classes = labels_of(spec, conditional, "masked-pixelcnn")
        super().__init__(spec, MaskedStack(spec.shape[0], pixel, width, layers, classes), pixel, conditional)


class MaskedStack(CausalNetwork):
    """(B, C, H, W) -> params (B, likelihood.width, H, W), causal, blind to the right just above."""

    def __init__(self, channels: int, likelihood: Pixelwise, width: int, layers: int, classes: int) -> None:
        super().__init__()
        width = max(width, channels)  # a group of features for each channel at the least
        self.head = Head(2 * width, channels, likelihood, "relu")
        groups = self.head.groups
        self.enter = Causal(channels, 2 * width, groups, 3, classes, first=True)
        self.layers = nn.ModuleList(Residual(width, groups, classes) for _ in range(layers))

    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        h = self.enter(h, y)
        for layer in self.layers:
            h = layer(h, y)
        params: Tensor = self.head(h)
        return params

    def stepper(self, n: int, y: Tensor | None) -> Stepper:
        return anew(lambda h: MaskedSteps(self, h, y))


class Causal(nn.Module):
    """A masked convolution, the rows below and the pixels to the right left out of its kernel or under its mask."""

    def __init__(self, inputs: int, outputs: int, groups: int, reach: int, classes: int, *, first: bool) -> None:
        super().__init__()
        self.reach, self.first = reach, first
        own = (before if first else upto)(groups_of(inputs, groups), groups_of(outputs, groups))
        mask = torch.ones(outputs, inputs, reach + 1, 2 * reach + 1, dtype=torch.bool)
        mask[:, :, reach, reach:] = False
        mask[:, :, reach, reach] = own[:, :, 0, 0]
        self.conv = MaskedConv2d(mask)
        self.of_class = nn.Embedding(classes, outputs) if classes else None

    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        out: Tensor = self.conv(F.pad(h, (self.reach, self.reach, self.reach, 0)))
        return out if self.of_class is None else out + self.of_class(y)[:, :, None, None]


class Residual(nn.Module):
    """(B, 2 * width, H, W) -> the same: down to half the features, a 3x3 convolution of mask B, and up."""

    def __init__(self, width: int, groups: int, classes: int) -> None:
        super().__init__()
        outside, inside = groups_of(2 * width, groups), groups_of(width, groups)
        self.down = MaskedConv2d(upto(outside, inside))
        self.causal = Causal(width, width, groups, 1, classes, first=False)
        self.up = MaskedConv2d(upto(inside, outside))

    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        inside = self.causal(F.relu(self.down(F.relu(h))), y)
        out: Tensor = h + self.up(F.relu(inside))
        return out


class MaskedSteps:
    """A stepper: what a convolution has of the rows above a row at a time, the rest a group of channels of a pixel."""

    def __init__(self, network: MaskedStack, h: Tensor, y: Tensor | None) -> None:
        n, _, _, W = h.shape
        groups = network.head.groups
        layers = cast("list[Residual]", list(network.layers))
        self.head = HeadSteps(network.head, n)
        stream = self.head.features  # of the pixel alone: each layer adds to it
        self.convs = [CausalSteps(causal, n, W, y) for causal in (network.enter, *(layer.causal for layer in layers))]
        enter, *inner = self.convs
        self.entries = [enter.strip.pixel(j) for j in range(W)]
        self.first = enter.views(groups)
        self.into = [stream[:, first:last] for first, last in pairwise(ends(stream.shape[1], groups))]
        moves = [_moves(layer, conv, stream, groups) for layer, conv in zip(layers, inner, strict=True)]
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
        torch.addmm(*self.first[c][j], out=self.into[c])
        for stream, active, down, entering, conv, inside, seen, up in self.moves[c][j]:
            torch.clamp_min(stream, 0, out=active)
            torch.addmm(*down, out=entering).relu_()
            torch.addmm(*conv, out=inside).relu_()
            stream.addmm_(seen, up)
        return self.head(c)

    def _begin_row(self, h: Tensor, i: int) -> None:
        if i:
            self.entries[-1].copy_(self.pixels[-1])
        for conv in self.convs:
            conv.begin_row(i)
        self.pixels = h[:, :, i].unbind(2)


class CausalSteps:
    """A masked convolution in two parts: the rows above, for all columns at once, and the window of a pixel.

    Attributes:
        strip: what it sees of its own row.
        told: what the rows above say, with the bias, shape (n * W, outputs).
    """

    def __init__(self, causal: Causal, n: int, W: int, y: Tensor | None) -> None:
        weight = masked(causal.conv)
        outputs, inputs = weight.shape[:2]
        self.leaves_out_own = causal.first
        self.strip = Strip(weight, n, W, inputs, causal.reach)
        self.rows = Rows(weight[:, :, :-1], None, n, W)
        self.window = matrix(weight[:, :, -1, : causal.reach + 1])
        alone = bias_of(causal.conv) if causal.of_class is None else bias_of(causal.conv) + causal.of_class(y).detach()
        self.alone = alone.expand(n, outputs).repeat_interleave(W, 0)
        self.told = torch.empty_like(self.alone)

    def begin_row(self, i: int) -> None:
        if i == 0:
            self.told.copy_(self.alone)
        else:
            torch.add(self.alone, self.rows(self.strip.row), out=self.told)

    def views(self, groups: int) -> list[list[tuple[Tensor, Tensor, Tensor]]]:
        """Of each group and pixel: told, window and weight, the outputs being told + window @ weight."""
        told = self.told.view(self.strip.n, -1, self.told.shape[1])
        entering = ends(self.strip.features, groups)
        views = []
        for c, (first, last) in enumerate(pairwise(ends(self.told.shape[1], groups))):
            own = entering[c] if self.leaves_out_own else entering[c + 1]
            weight = self.window[: self.strip.reach * self.strip.features + own, first:last].contiguous()
            views.append(
                [(told[:, j, first:last], self.strip.window(j, own), weight) for j in range(told.shape[1])],
            )
        return views


class Move(NamedTuple):
    """What a residual layer does for a group of features of one pixel: views of what it reads and writes.

        active = relu(stream),   entering = relu(down),   inside = relu(conv),   stream += seen @ up

    `down` and `conv` are what addmm takes; `seen` is a 1, for the bias, and what is inside, of the groups up to this.
    """

    stream: Tensor
    active: Tensor
    down: tuple[Tensor, Tensor, Tensor]
    entering: Tensor
    conv: tuple[Tensor, Tensor, Tensor]
    inside: Tensor
    seen: Tensor
    up: Tensor


def _moves(layer: Residual, conv: CausalSteps, stream: Tensor, groups: int) -> list[list[Move]]:
    """Of each group those of each pixel."""
    n, width = len(stream), conv.strip.features
    active, inside = torch.empty_like(stream), stream.new_ones(n, 1 + width)
    down = matrix(masked(layer.down)[:, :, 0])
    up = torch.cat([bias_of(layer.up)[None], matrix(masked(layer.up)[:, :, 0])])
    outer, inner = pairwise(ends(2 * width, groups)), pairwise(ends(width, groups))
    moves = []
    for (a, b), (first, last), views in zip(outer, inner, conv.views(groups), strict=True):
        of_down = bias_of(layer.down)[first:last], active[:, :b], down[:b, first:last].contiguous()
        after = inside[:, 1 + first : 1 + last], inside[:, : 1 + last], up[: 1 + last, a:b].contiguous()
        moves.append(
            [
                Move(stream[:, a:b], active[:, a:b], of_down, conv.strip.pixel(j, first, last), view, *after)
                for j, view in enumerate(views)
            ]
        )
    return moves
