"""Causal networks written once, and passed through three ways: the whole image, a row at a time, a pixel at a time.

A `CausalConv` sees the rows above and its own row up to a pixel (or all of it, where the rows are shifted down). A
network is a function of a `Pass`, which runs its convolutions:

    Whole       on all pixels at once, for training and scoring
    Step        on what is new: row i, or pixel (i, j); what a convolution needs of earlier rows and pixels it remembers

so that sampling is the same network by construction and computes each activation once. Of a kernel's product with a
pixel's surroundings, the part of the rows above is taken for a row of pixels at once, when the row begins.

Gated residual blocks of Salimans et al. (2017), "PixelCNN++", arXiv:1701.05517, section 2.4 and their code:

    x + a * sigmoid(b),     (a, b) = conv(dropout(act(conv(act(x)) + what it is told)))

with act(x) = ELU([x, -x]) as there, or SiLU(x), which keeps half the features and is a fifth of the work on a CPU.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....nn.likelihoods import Pixelwise
from ....nn.masked import MaskedConv2d
from ....nn.mixture import PixelwiseName, pixelwise
from ....nn.weightnorm import WeightNormConv2d
from ....spec import Spec
from .channels import Head, before, groups_of


class View(NamedTuple):
    """What a causal convolution sees of its input: rows (its own and those above), columns to the left and right.

    Arguments:
        ahead: whether the columns to the right are seen in a pixel's own row too: only of rows that are shifted down.
    """

    rows: int = 1
    left: int = 0
    right: int = 0
    ahead: bool = False


POINT = View()


class CausalConv(WeightNormConv2d):
    """(B, inputs, H, W) -> (B, outputs, ceil(H / stride), ceil(W / stride)): output (i, j) lies at stride * (i, j)."""

    def __init__(self, inputs: int, outputs: int, view: View = POINT, stride: int = 1, scale: float = 1.0) -> None:
        window = view.rows, view.left + 1 + view.right
        mask = None
        if view.right and not view.ahead:
            mask = torch.ones(window)
            mask[-1, view.left + 1 :] = 0
        super().__init__(inputs, outputs, window, (view.left, view.right, view.rows - 1, 0), stride, scale, mask)
        self.view = view


class Pass(ABC):
    """How a network is gone through."""

    @abstractmethod
    def conv(self, conv: CausalConv, x: Tensor) -> Tensor | None:
        """The convolution of x; None where x is at no place of a coarser grid."""

    @abstractmethod
    def enlarged(self, conv: CausalConv, coarse: Tensor | None, like: Tensor) -> Tensor:
        """What a pixel of the coarse grid says to its four (of `like`) of the fine one: a channel for each of them."""

    @abstractmethod
    def coarser(self) -> Pass:
        """The same on a grid of half the sides."""

    @abstractmethod
    def past(self, layer: nn.Module, x: Tensor) -> Tensor:
        """x of all pixels up to this one in raster order, shape (n, channels, L); of the whole image all."""

    def same(self, conv: CausalConv, x: Tensor) -> Tensor:
        """The convolution of x by a stride of 1."""
        out = self.conv(conv, x)
        assert out is not None
        return out


class Whole(Pass):
    """All pixels at once."""

    def conv(self, conv: CausalConv, x: Tensor) -> Tensor | None:
        out: Tensor = conv(x)
        return out

    def enlarged(self, conv: CausalConv, coarse: Tensor | None, like: Tensor) -> Tensor:
        assert coarse is not None
        return F.pixel_shuffle(conv(coarse), 2)[..., : like.shape[-2], : like.shape[-1]]

    def coarser(self) -> Pass:
        return self

    def past(self, layer: nn.Module, x: Tensor) -> Tensor:
        return x.flatten(2)


class Step(Pass):
    """Row i, x of shape (n, channels, 1, W); or pixel (i, j), x of shape (n, channels, 1, 1).

    Rows and pixels are gone through in order, each layer always by rows or always by pixels.

    Arguments:
        memory: what the layers have seen, empty before the first step.
        W: columns of a row.
        j: None for a row.
    """

    def __init__(self, memory: Memory, W: int, i: int, j: int | None = None) -> None:
        self.memory, self.W, self.i, self.j = memory, W, i, j

    def seen(self, conv: CausalConv, x: Tensor) -> Seen:
        """What the convolution has seen before this step."""
        if conv not in self.memory.convs:
            self.memory.convs[conv] = Seen(conv, x, self.W)
        return self.memory.convs[conv]

    def conv(self, conv: CausalConv, x: Tensor) -> Tensor | None:
        seen = self.seen(conv, x)
        return seen.row(x, self.i) if self.j is None else seen.pixel(x, self.i, self.j)

    def enlarged(self, conv: CausalConv, coarse: Tensor | None, like: Tensor) -> Tensor:
        if coarse is not None:  # two rows, of which the second is for the next row of steps
            two = F.pixel_shuffle(self.coarser().same(conv, coarse), 2)
            first = self.j or 0
            self.memory.convs[conv].held[..., first : first + two.shape[-1]] = two
        held = self.memory.convs[conv].held[:, :, self.i % 2, None]
        return held[..., : self.W] if self.j is None else held[..., self.j, None]

    def coarser(self) -> Pass:
        return Step(self.memory, (self.W + 1) // 2, self.i // 2, None if self.j is None else self.j // 2)

    def past(self, layer: nn.Module, x: Tensor) -> Tensor:
        place = self.i * self.W + (self.j or 0)
        if layer not in self.memory.pasts:
            self.memory.pasts[layer] = x.new_empty(*x.shape[:2], 2 * self.W)
        held = self.memory.pasts[layer]
        if place == held.shape[2]:  # twice the room when it is full
            held = self.memory.pasts[layer] = torch.cat([held, torch.empty_like(held)], dim=2)
        held[:, :, place] = x[:, :, 0, 0]
        return held[:, :, : place + 1]


@dataclass
class Memory:
    """What the layers of a network have been given in the steps so far."""

    convs: dict[CausalConv, Seen] = field(default_factory=dict)
    pasts: dict[nn.Module, Tensor] = field(default_factory=dict)


class Seen:
    """The rows a causal convolution has been given, the last of them up to a pixel; and its kernel as matrices."""

    def __init__(self, conv: CausalConv, x: Tensor, W: int) -> None:
        self.conv, self.left = conv, conv.view.left
        kernel = conv.kernel()
        self.kernel, self.above = kernel, kernel[:, :, :-1]
        own = kernel[:, :, -1, : self.left + 1]
        self.own = own.permute(2, 1, 0).flatten(0, 1).contiguous()  # (what is seen of its own row, outputs)
        n, channels = x.shape[:2]
        # A pixel's channels side by side, and its neighbours next to it: what is seen of a row is one run of memory.
        self.rows = x.new_zeros(n, conv.view.rows, self.left + W + conv.view.right, channels)
        self.held = x.new_zeros(n, len(conv.bias) // 4, 2, 2 * W)  # what `enlarged` has made of coarse pixels
        self.told = conv.bias.expand(W, -1)

    def row(self, x: Tensor, i: int) -> Tensor | None:
        """The outputs of a whole row, None of a row between those of the stride."""
        self._turn()
        self.rows[:, -1, self.left : self.left + x.shape[3]] = x[:, :, 0].transpose(1, 2)
        if i % self.conv.stride:
            return None
        return F.conv2d(self.rows.permute(0, 3, 1, 2), self.kernel, self.conv.bias, self.conv.stride)

    def pixel(self, x: Tensor, i: int, j: int) -> Tensor | None:
        """The outputs of a pixel, None of one between those of the stride."""
        stride = self.conv.stride
        if j == 0:
            self._turn()
            if i % stride == 0 and len(self.above[0, 0]):
                told = F.conv2d(self.rows[:, :-1].permute(0, 3, 1, 2), self.above, self.conv.bias, stride)
                self.told = told[:, :, 0].permute(2, 0, 1).contiguous()  # (W, n, outputs)
        self.rows[:, -1, self.left + j] = x[:, :, 0, 0]
        if i % stride or j % stride:
            return None
        own = self.rows[:, -1, j : j + self.left + 1].flatten(1)
        return torch.addmm(self.told[j // stride], own, self.own)[:, :, None, None]

    def _turn(self) -> None:
        """A row further: every row is one above."""
        if len(self.above[0, 0]):
            self.rows = torch.cat([self.rows[:, 1:], torch.zeros_like(self.rows[:, :1])], dim=1)


def concat_elu(x: Tensor) -> Tensor:
    """ELU of x and of -x: twice the features, so that neither sign is lost."""
    return F.elu(torch.cat([x, -x], dim=1))


Activation = Literal["concat_elu", "silu"]
ACTIVATIONS: dict[Activation, tuple[Callable[[Tensor], Tensor], int]] = {
    "concat_elu": (concat_elu, 2),
    "silu": (F.silu, 1),
}
"""Each with how many features it makes of one."""


class GatedBlock(nn.Module):
    """A gated residual block: (B, width, H, W) -> the same shape, told something by another stream or layer.

    Arguments:
        view: of the first convolution.
        second: of the second one.
        activation: see the top of this file.
        beside: whether an earlier layer's features, (B, width, H, W), come beside x.
        classes: labels that shift a and b; 0 for none.
    """

    def __init__(
        self,
        width: int,
        view: View,
        second: View,
        dropout: float,
        classes: int,
        activation: Activation,
        beside: bool = False,
    ) -> None:
        super().__init__()
        self.activation, more = ACTIVATIONS[activation]
        self.first = CausalConv(more * width, width, view)
        self.second = CausalConv(more * width, 2 * width, second, scale=0.1)  # near the identity at first
        self.beside = CausalConv(more * width, width) if beside else None
        self.dropout = nn.Dropout(dropout)
        self.of_class = nn.Embedding(classes, 2 * width) if classes else None
        if self.of_class is not None:
            nn.init.zeros_(self.of_class.weight)

    def forward(
        self, x: Tensor, go: Pass, y: Tensor | None, told: Tensor | None = None, beside: Tensor | None = None
    ) -> Tensor:
        a = go.same(self.first, self.activation(x))
        if told is not None:
            a = a + told
        if self.beside is not None and beside is not None:
            a = a + go.same(self.beside, self.activation(beside))
        ab = go.same(self.second, self.dropout(self.activation(a)))
        if self.of_class is not None:
            ab = ab + self.of_class(y)[:, :, None, None]
        a, b = ab.chunk(2, dim=1)
        return x + a * b.sigmoid()


class Enter(nn.Module):
    """The first layer: a pixel's features from `reach` rows above it, all of the row above, and its own up to it.

    What lies in these two rows a halved image cannot yet know where i is odd, and convolutions of a few columns see of
    them no more than the network is deep.

    Arguments:
        W: columns of the image.
    """

    def __init__(self, channels: int, width: int, reach: int, W: int) -> None:
        super().__init__()
        self.above = CausalConv(channels + 1, width, View(reach, reach, reach, ahead=True))
        self.across = CausalConv(channels + 1, width, View(1, W - 1, W - 1, ahead=True))
        self.left = CausalConv(channels + 1, width, View(1, max(0, W - 2)))

    def forward(self, h: Tensor) -> Tensor:
        go, h = Whole(), marked(h)
        return self._from_above(down(h), go) + go.same(self.left, F.pad(h, (1, -1)))

    def row(self, h: Tensor, go: Step) -> Tensor:
        """What the rows above say of row i of h, shape (n, width, 1, W)."""
        return self._from_above(row_above(h, go.i), go)

    def pixel(self, h: Tensor, above: Tensor, go: Step) -> Tensor:
        """The features of pixel (i, j), shape (n, width, 1, 1); `above` as `row` gave it."""
        i, j = go.i, go.j or 0
        left = marked(h[:, :, i, j - 1, None, None]) if j else h.new_zeros(len(h), h.shape[1] + 1, 1, 1)
        return above[..., j, None] + go.same(self.left, left)

    def _from_above(self, rows: Tensor, go: Pass) -> Tensor:
        return go.same(self.above, rows) + go.same(self.across, rows)


class Leave(nn.Module):
    """The last layers: features, (B, width, H, W), to params, (B, likelihood.width, H, W).

    Where the likelihood is by channel, those of a pixel are told of the channels before them.
    """

    def __init__(self, channels: int, width: int, likelihood: Pixelwise) -> None:
        super().__init__()
        self.head = Head(width, channels, likelihood, "silu")
        groups = self.head.groups
        self.own = MaskedConv2d(before(torch.arange(channels), groups_of(width, groups))) if groups > 1 else None

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        if self.own is not None:
            x = x + self.own(h)
        params: Tensor = self.head(x)
        return params


def marked(h: Tensor) -> Tensor:
    """h with a channel of ones, which tells a pixel from what lies beyond the image."""
    return torch.cat([h, torch.ones_like(h[:, :1])], dim=1)


def down(h: Tensor) -> Tensor:
    """h a row further down, so that a pixel is where the one below it was."""
    return F.pad(h, (0, 0, 1, -1))


def row_above(h: Tensor, i: int) -> Tensor:
    """Row i of down(marked(h)), shape (n, C + 1, 1, W)."""
    return marked(h[:, :, i - 1, None]) if i else F.pad(torch.zeros_like(h[:, :, :1]), (0, 0, 0, 0, 0, 1))


def drawn_from(spec: Spec, name: PixelwiseName, components: int) -> Pixelwise:
    """The likelihood of that name; auto is a Bernoulli for grey binary images and a mixture of logistics for others."""
    if name == "auto":
        name = "bernoulli" if spec.levels == 2 and spec.shape[0] == 1 else "mixture"
    return pixelwise(spec, name, components)
