"""The channels of a pixel in order: which features of a pixel may see which, and the layers that close a network.

Within a pixel the features of a layer are in C groups, in runs of equal length (0 0 1 1 2 2); group c sees the groups
up to c (mask B), and at the first layer the channels before c (mask A). So red comes first, green sees red, blue both:

    p(x_ij) = p(R) p(G | R) p(B | R, G)          each also given all pixels before (i, j)

Where the likelihood itself relates the channels there is one group: mask A is empty, mask B full.

van den Oord et al. (2016), "Pixel recurrent neural networks", arXiv:1601.06759, section 3.4.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....nn.likelihoods import Pixelwise
from ....nn.masked import MaskedConv2d
from ....nn.mixture import Mixture

ACTIVATIONS = {"relu": F.relu, "silu": F.silu}


def groups_of(features: int, groups: int) -> Tensor:
    """The group each feature belongs to, in runs of equal length: 0 0 1 1 2 2."""
    return torch.arange(features) * groups // features


def ends(features: int, groups: int) -> list[int]:
    """Where the groups begin and end: group c is features ends[c] : ends[c + 1]."""
    return [-(-c * features // groups) for c in range(groups + 1)]


def before(inputs: Tensor, outputs: Tensor) -> Tensor:
    """Mask A of one pixel between features of these groups, shape (outputs, inputs, 1, 1)."""
    return (inputs < outputs[:, None])[:, :, None, None]


def upto(inputs: Tensor, outputs: Tensor) -> Tensor:
    """Mask B of one pixel."""
    return (inputs <= outputs[:, None])[:, :, None, None]


class Head(nn.Module):
    """(B, width, H, W) -> params (B, likelihood.width, H, W) in the order (..., groups): two layers within each pixel.

    Attributes:
        groups: of the features within a pixel, one for each channel where the likelihood is `by_channel`, else one.
    """

    def __init__(self, width: int, channels: int, likelihood: Pixelwise, activation: Literal["relu", "silu"]) -> None:
        super().__init__()
        self.groups = channels if likelihood.by_channel else 1
        inner, outer = groups_of(width, self.groups), torch.arange(likelihood.width) % self.groups
        self.activation = ACTIVATIONS[activation]
        self.inner = MaskedConv2d(upto(inner, inner))
        self.outer = MaskedConv2d(upto(inner, outer))
        if isinstance(likelihood, Mixture):
            with torch.no_grad():
                self.outer.get_parameter("bias").copy_(likelihood.spread())

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = self.outer(self.activation(self.inner(self.activation(h))))
        return out
