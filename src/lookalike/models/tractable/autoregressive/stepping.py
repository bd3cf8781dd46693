"""What steppers of convolutional networks are made of: each activation once, in memory that is laid out beforehand.

    Rows         a convolution over the rows above, for all columns of a row at once
    Strip        the features of the row being drawn, side by side, so that what a pixel sees of them is one run of
                 memory: its convolution is one product of matrices, (n, seen) @ (seen, features)
    HeadSteps    the last layers, a group of channels of a pixel at a time

A step is little work, so that the calls between the products are what it costs: every view is made once before the
first pixel, masked weights are made into matrices without their zeros, and results are written where they are read.

Ramachandran et al. (2017), "Fast generation for convolutional autoregressive models", arXiv:1704.06001. Differs from
the paper: rows above are not kept in a cache per layer and pixel but taken a row at a time, since a row of products is
as fast as the whole image's.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....nn.masked import MaskedConv2d
from .channels import Head, ends
from .raster import Stepper


def anew(begin: Callable[[Tensor], Stepper]) -> Stepper:
    """The stepper that `begin` makes of the images, made anew at each first pixel."""
    steps: Stepper

    def step(h: Tensor, i: int, j: int, c: int) -> Tensor:
        nonlocal steps
        if i == j == c == 0:
            steps = begin(h)
        return steps(h, i, j, c)

    return step


class Rows:
    """A convolution over the last rows of an image, told one row after the other: outputs of the latest row.

    Arguments:
        weight: shape (outputs, inputs, rows, columns), columns odd; the last row of it meets the latest row.
        n, W: images, and columns of each; beyond them, and above the first row, is 0.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, n: int, W: int) -> None:
        inputs, height, width = weight.shape[1:]
        self.reach = width // 2
        self.bias = bias
        # Rows lie in a ring, each over the oldest: nothing is moved, the weights turn instead.
        self.ring = weight.new_zeros(n, height, W + 2 * self.reach, inputs)
        self.turned = [weight.roll(slot + 1, 2).contiguous(memory_format=torch.channels_last) for slot in range(height)]
        self.told = 0

    def __call__(self, row: Tensor) -> Tensor:
        """The outputs of this row, shape (n * W, outputs), from it and the rows before it; row is (n, W, inputs)."""
        n, W, _ = row.shape
        slot = self.told % len(self.turned)
        self.told += 1
        self.ring[:, slot, self.reach : self.reach + W] = row
        out = F.conv2d(self.ring.permute(0, 3, 1, 2), self.turned[slot], self.bias)
        return out.permute(0, 2, 3, 1).reshape(n * W, -1)


class Strip:
    """The features of one row, (n, W, features), with 0 to its left, written and read pixel by pixel.

    Arguments:
        reach: how many pixels to the left of a pixel are in its window.
    """

    def __init__(self, like: Tensor, n: int, W: int, features: int, reach: int) -> None:
        self.n, self.features, self.reach = n, features, reach
        self.memory = like.new_zeros(n, (reach + W) * features)

    @property
    def row(self) -> Tensor:
        """All of it, shape (n, W, features)."""
        return self.memory.view(self.n, -1, self.features)[:, self.reach :]

    def pixel(self, j: int, first: int = 0, last: int | None = None) -> Tensor:
        """Features first : last of pixel j, shape (n, last - first)."""
        start = (self.reach + j) * self.features
        return self.memory[:, start + first : start + (self.features if last is None else last)]

    def window(self, j: int, own: int) -> Tensor:
        """The pixels within reach to the left of j and the first `own` features of j itself, side by side."""
        return self.memory[:, j * self.features : (j + self.reach) * self.features + own]


def masked(conv: MaskedConv2d) -> Tensor:
    """Its weights with their zeros, shape (outputs, inputs, rows, columns)."""
    return (conv.weight * conv.mask).detach()


def bias_of(conv: nn.Conv2d) -> Tensor:
    """Its bias, shape (outputs,)."""
    return conv.get_parameter("bias").detach()


def matrix(weight: Tensor) -> Tensor:
    """Weights of a row of a convolution, (outputs, inputs, columns), as they meet a window: (window, outputs)."""
    return weight.permute(2, 1, 0).flatten(0, 1)


class HeadSteps:
    """A head, a group of channels of a pixel at a time; the features come into `features`, shape (n, width)."""

    def __init__(self, head: Head, n: int) -> None:
        inner, outer = (matrix(masked(conv)[:, :, 0]) for conv in (head.inner, head.outer))
        groups, (width, outputs) = head.groups, outer.shape
        self.activation = head.activation
        self.features, hidden = inner.new_empty(n, width), inner.new_empty(n, width)
        # Each group's params side by side: a product is written to one run of memory.
        self.params = inner.new_zeros(n, groups, outputs // groups)
        self.together = self.params.view(n, outputs)
        self.groups = []
        for c, (first, last) in enumerate(pairwise(ends(width, groups))):
            self.groups.append(
                (
                    self.features[:, first:last],
                    (bias_of(head.inner)[first:last], self.features[:, :last], inner[:last, first:last].clone()),
                    hidden[:, first:last],
                    (bias_of(head.outer)[c::groups], hidden[:, :last], outer[:last, c::groups].clone()),
                    self.params[:, c],
                )
            )

    def __call__(self, c: int) -> Tensor:
        """The params so far, shape (n, outputs), once the features of group c are there."""
        features, inner, hidden, outer, params = self.groups[c]
        self.activation(features, inplace=True)
        torch.addmm(*inner, out=hidden)
        self.activation(hidden, inplace=True)
        torch.addmm(*outer, out=params)
        return self.together if len(self.groups) == 1 else self.params.transpose(1, 2).flatten(1)
